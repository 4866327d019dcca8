import { addressPort, familyOf, hostPrefix, type IPAddress, type IPFamily, UNSPECIFIED } from "../address.ts";
import type { Brand } from "../brand.ts";
import type { Protocol } from "../cluster/service.ts";
import { identical, ignored, type Same, sameFields, sameValues } from "../equality.ts";

/**
 * The name of a virtual server: "TCP/10.96.0.1:443", "UDP/[fd00::a]:53"; "FWM/IPv4/7" if packets reach it by firewall
 * mark.
 */
export type VirtualServerKey = Brand<string, "VirtualServerKey">;

/** The name of a real server within its virtual server: "10.244.1.5:8443", "[fd00::5]:53". */
export type RealServerKey = Brand<string, "RealServerKey">;

export type Scheduler = Brand<string, "Scheduler">;

/** Flags as `ipvsadm -b` and `-o` name them; flag-N if the scheduler has no name for the bit. */
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

/**
 * The timeouts of IPVS: for TCP connections, TCP connections after a FIN, and UDP flows. The names are those of
 * kube-proxy's flags.
 */
export const IPVS_TIMEOUTS = ["tcp", "tcpfin", "udp"] as const;
export type IpvsTimeoutName = (typeof IPVS_TIMEOUTS)[number];

/**
 * An IPVS service: the kernel calls it `service`, ipvsadm a virtual service. A packet reaches it by protocol, address
 * and port, or by its firewall mark, which has precedence. A virtual server by mark has the unspecified address of its
 * family and port 0. Its protocol is that of its packets, but it is read back as TCP, because the kernel does not keep
 * it.
 */
export interface VirtualServer {
  readonly key: VirtualServerKey;
  readonly protocol: Protocol;
  readonly address: IPAddress;
  readonly port: number;
  /** The complete mark of its packets; 0 if packets reach it by address. */
  readonly mark: number;
  readonly scheduler: Scheduler;
  /** Sorted by text. */
  readonly flags: readonly SchedulerFlag[];
  /** Seconds of client affinity; 0 means none. */
  readonly persistenceSeconds: number;
  /** Prefix length of the client addresses that count as one client; the agent always uses 32 or 128. */
  readonly persistencePrefix: number;
  /**
   * How long removed real servers may keep their connections, in ms; absent if the Service does not set it. The kernel
   * does not keep it, so it does not count when virtual servers are compared.
   */
  readonly drainTimeoutMs?: number;
}

/** An IPVS destination: the kernel calls it `dest`, ipvsadm a real server. */
export interface RealServer {
  readonly key: RealServerKey;
  readonly address: IPAddress;
  readonly port: number;
  /** 0 means that it receives no new connections. */
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

/** The fields by which packets reach a virtual server, which identify it. */
export type VirtualServerName = Pick<VirtualServer, "protocol" | "address" | "port" | "mark">;

/** Returns the fields from which `virtualServerKey` or `markedServerKey` made the key; no other code makes keys. */
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

/** Returns the protocol and family of a key without a mark, for less than `parseVirtualServerKey` takes. */
export function groupOfServerKey(key: VirtualServerKey): `${Protocol} ${IPFamily}` {
  const slash = key.indexOf("/");
  return `${key.slice(0, slash) as Protocol} ${key[slash + 1] === "[" ? "IPv6" : "IPv4"}`;
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

/** The properties of a virtual server that a Service may set. */
export interface VirtualServerOptions {
  readonly scheduler: Scheduler;
  readonly flags?: readonly SchedulerFlag[];
  readonly persistenceSeconds?: number;
  readonly drainTimeoutMs?: number | undefined;
}

/** Returns a virtual server by address with the agent's defaults. */
export function virtualServer(
  protocol: Protocol,
  address: IPAddress,
  port: number,
  options: VirtualServerOptions,
): VirtualServer {
  return withOptions(virtualServerKey(protocol, address, port), { protocol, address, port, mark: 0 }, options);
}

/**
 * Returns a virtual server by firewall mark: for packets of the family with exactly this mark, 1 to 0xffffffff. It has
 * no client affinity, because for marked packets IPVS would then keep the destination port of the packet instead of the
 * real server's port (`ip_vs_sched_persist`). A scheduler that hashes the client's address replaces the affinity.
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
  // Every field is written out: a spread would use half as much memory again for each virtual server.
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
  // These are parts of the key. A virtual server by mark has no protocol, because the kernel does not keep it.
  protocol: ignored,
  address: ignored,
  port: ignored,
  mark: ignored,
  scheduler: identical,
  flags: sameValues,
  persistenceSeconds: identical,
  // It has no meaning without persistence: `sameVirtualServer` compares it.
  persistencePrefix: ignored,
  // The kernel does not keep it.
  drainTimeoutMs: ignored,
});

/** Whether the keys are equal and an update would change nothing. */
export function sameVirtualServer(a: VirtualServer, b: VirtualServer): boolean {
  return sameSettings(a, b) && (a.persistenceSeconds === 0 || a.persistencePrefix === b.persistencePrefix);
}

/** Whether the keys are equal and an update would change nothing. */
export const sameRealServer: Same<RealServer> = sameFields<RealServer>({
  key: identical,
  // These are parts of the key.
  address: ignored,
  port: ignored,
  weight: identical,
  forwarding: identical,
});
