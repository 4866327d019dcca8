import { addressPort, familyOf, hostPrefix, type IPAddress, type IPFamily, UNSPECIFIED } from "../address.ts";
import type { Brand } from "../brand.ts";
import type { Protocol } from "../cluster/service.ts";
import { identical, ignored, type Same, sameFields, sameValues } from "../equality.ts";

/** "TCP/10.96.0.1:443", "UDP/[fd00::a]:53"; by firewall mark "FWM/IPv4/7". */
export type VirtualServerKey = Brand<string, "VirtualServerKey">;

/** "10.244.1.5:8443", "[fd00::5]:53". */
export type RealServerKey = Brand<string, "RealServerKey">;

export type Scheduler = Brand<string, "Scheduler">;

/** Words of `ipvsadm -b` and `-o`; flag-N where a scheduler gives the bit no name. */
export type SchedulerFlag =
  | "one-packet"
  | "sh-fallback"
  | "sh-port"
  | "mh-fallback"
  | "mh-port"
  | "flag-1"
  | "flag-2"
  | "flag-3";

export type Forwarding = "masquerade" | "local" | "tunnel" | "direct" | "bypass";

/** What IPVS remembers for a time of its own: TCP connections, those after a FIN, and UDP flows. Words of kube-proxy's flags. */
export const IPVS_TIMEOUTS = ["tcp", "tcpfin", "udp"] as const;
export type IpvsTimeoutName = (typeof IPVS_TIMEOUTS)[number];

/**
 * An IPVS service: what the kernel calls `service` and ipvsadm a virtual service. It is asked for by protocol, address
 * and port, or else by the firewall mark of a packet, which comes first. A marked one has the unspecified address of its
 * family and port 0; its protocol is that of the packets it is meant for, and reads back as TCP, for the kernel does
 * not keep it.
 */
export interface VirtualServer {
  readonly key: VirtualServerKey;
  readonly protocol: Protocol;
  readonly address: IPAddress;
  readonly port: number;
  /** The whole mark of the packets meant for it; 0: it is asked for by address. */
  readonly mark: number;
  readonly scheduler: Scheduler;
  /** Sorted. */
  readonly flags: readonly SchedulerFlag[];
  /** Seconds of client affinity; 0 is none. */
  readonly persistenceSeconds: number;
  /** Prefix length of what counts as one client: 32 or 128 in all that we make. */
  readonly persistencePrefix: number;
  /**
   * How long removed real servers may keep their connections, in ms, where its Service says so. The kernel does not keep
   * it: no part of what makes two virtual servers the same.
   */
  readonly drainTimeoutMs?: number;
}

/** An IPVS destination: what the kernel calls `dest` and ipvsadm a real server. */
export interface RealServer {
  readonly key: RealServerKey;
  readonly address: IPAddress;
  readonly port: number;
  /** 0 takes no new connections. */
  readonly weight: number;
  readonly forwarding: Forwarding;
}

export function virtualServerKey(protocol: Protocol, address: IPAddress, port: number): VirtualServerKey {
  return `${protocol}/${addressPort(address, port)}` as VirtualServerKey;
}

export function markedServerKey(family: IPFamily, mark: number): VirtualServerKey {
  return `${BY_MARK}${family}/${mark}` as VirtualServerKey;
}

const BY_MARK = "FWM/";

/** What a virtual server is asked for by: all it takes to name it. */
export type VirtualServerName = Pick<VirtualServer, "protocol" | "address" | "port" | "mark">;

/** The parts of which `virtualServerKey` or `markedServerKey`, the only makers of keys, made this one. */
export function parseVirtualServerKey(key: VirtualServerKey): VirtualServerName {
  if (key.startsWith(BY_MARK)) return parseMarkedServerKey(key);
  const slash = key.indexOf("/");
  const colon = key.lastIndexOf(":");
  return {
    protocol: key.slice(0, slash) as Protocol,
    address: key.slice(slash + 1, colon).replace(/[[\]]/g, "") as IPAddress,
    port: Number(key.slice(colon + 1)),
    mark: 0,
  };
}

function parseMarkedServerKey(key: VirtualServerKey): VirtualServerName {
  const slash = key.lastIndexOf("/");
  const family = key.slice(BY_MARK.length, slash) as IPFamily;
  return markedName(family, Number(key.slice(slash + 1)), "TCP");
}

function markedName(family: IPFamily, mark: number, protocol: Protocol): VirtualServerName {
  return { protocol, address: UNSPECIFIED[family], port: 0, mark };
}

export function realServerKey(address: IPAddress, port: number): RealServerKey {
  return addressPort(address, port) as RealServerKey;
}

/** What a Service may choose of its virtual servers. */
export interface VirtualServerOptions {
  readonly scheduler: Scheduler;
  readonly flags?: readonly SchedulerFlag[];
  readonly persistenceSeconds?: number;
  readonly drainTimeoutMs?: number | undefined;
}

/** A virtual server by address as we make them. */
export function virtualServer(
  protocol: Protocol,
  address: IPAddress,
  port: number,
  options: VirtualServerOptions,
): VirtualServer {
  return withOptions(virtualServerKey(protocol, address, port), { protocol, address, port, mark: 0 }, options);
}

/**
 * A virtual server by firewall mark as we make them: for packets of the family that have exactly this mark, 1 to
 * 0xffffffff. It takes no client affinity: for marked packets IPVS would then keep the port that the client asked for in
 * place of the real server's (`ip_vs_sched_persist`). A scheduler that hashes the client's address does instead.
 */
export function markedServer(
  family: IPFamily,
  mark: number,
  protocol: Protocol,
  options: Omit<VirtualServerOptions, "persistenceSeconds">,
): VirtualServer {
  return withOptions(markedServerKey(family, mark), markedName(family, mark, protocol), options);
}

const NO_FLAGS: readonly SchedulerFlag[] = [];

function withOptions(key: VirtualServerKey, name: VirtualServerName, options: VirtualServerOptions): VirtualServer {
  const { scheduler, flags = NO_FLAGS, persistenceSeconds = 0, drainTimeoutMs } = options;
  // Spelled out: an object made by spreading takes half as much memory again, and there is one for each virtual server.
  const server: VirtualServer = {
    key,
    protocol: name.protocol,
    address: name.address,
    port: name.port,
    mark: name.mark,
    scheduler,
    flags: flags.length === 0 ? NO_FLAGS : flags.toSorted(),
    persistenceSeconds,
    persistencePrefix: hostPrefix(familyOf(name.address)),
  };
  return drainTimeoutMs === undefined ? server : { ...server, drainTimeoutMs };
}

const sameSettings = sameFields<VirtualServer>({
  key: identical,
  // Parts of the key. By mark the protocol is none, and the kernel does not keep it.
  protocol: ignored,
  address: ignored,
  port: ignored,
  mark: ignored,
  scheduler: identical,
  flags: sameValues,
  persistenceSeconds: identical,
  // Means nothing without persistence: `sameVirtualServer` compares it.
  persistencePrefix: ignored,
  // The kernel does not keep it.
  drainTimeoutMs: ignored,
});

/** Same key and nothing for an update to change. */
export function sameVirtualServer(a: VirtualServer, b: VirtualServer): boolean {
  return sameSettings(a, b) && (a.persistenceSeconds === 0 || a.persistencePrefix === b.persistencePrefix);
}

/** Same key and nothing for an update to change. */
export const sameRealServer: Same<RealServer> = sameFields<RealServer>({
  key: identical,
  // Parts of the key.
  address: ignored,
  port: ignored,
  weight: identical,
  forwarding: identical,
});
