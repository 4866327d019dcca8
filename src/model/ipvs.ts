import { addressPort, familyOf, hostPrefix, type IPAddress } from "./address.ts";
import type { Brand } from "./brand.ts";
import type { Protocol } from "./service.ts";

/** "TCP/10.96.0.1:443", "UDP/[fd00::a]:53". */
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

/** An IPVS service: what the kernel calls `service` and ipvsadm a virtual service. */
export interface VirtualServer {
  readonly key: VirtualServerKey;
  readonly protocol: Protocol;
  readonly address: IPAddress;
  readonly port: number;
  readonly scheduler: Scheduler;
  /** Sorted. */
  readonly flags: readonly SchedulerFlag[];
  /** Seconds of client affinity; 0 is none. */
  readonly persistenceSeconds: number;
  /** Prefix length of what counts as one client: 32 or 128 in all that we make. */
  readonly persistencePrefix: number;
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

/** The parts of which `virtualServerKey`, the only maker of keys, made this one. */
export function parseVirtualServerKey(key: VirtualServerKey): Pick<VirtualServer, "protocol" | "address" | "port"> {
  const slash = key.indexOf("/");
  const colon = key.lastIndexOf(":");
  return {
    protocol: key.slice(0, slash) as Protocol,
    address: key.slice(slash + 1, colon).replace(/[[\]]/g, "") as IPAddress,
    port: Number(key.slice(colon + 1)),
  };
}

export function realServerKey(address: IPAddress, port: number): RealServerKey {
  return addressPort(address, port) as RealServerKey;
}

/** A virtual server as we make them; `options` are what a Service may choose. */
export function virtualServer(
  protocol: Protocol,
  address: IPAddress,
  port: number,
  options: { scheduler: Scheduler; flags?: readonly SchedulerFlag[]; persistenceSeconds?: number },
): VirtualServer {
  return {
    key: virtualServerKey(protocol, address, port),
    protocol,
    address,
    port,
    scheduler: options.scheduler,
    flags: [...(options.flags ?? [])].sort(),
    persistenceSeconds: options.persistenceSeconds ?? 0,
    persistencePrefix: hostPrefix(familyOf(address)),
  };
}

/** A real server as we make them: masqueraded (NAT). */
export function realServer(address: IPAddress, port: number, weight = 1): RealServer {
  return { key: realServerKey(address, port), address, port, weight, forwarding: "masquerade" };
}

/** Same key and nothing for an update to change. */
export function sameVirtualServer(a: VirtualServer, b: VirtualServer): boolean {
  return (
    a.key === b.key &&
    a.scheduler === b.scheduler &&
    a.persistenceSeconds === b.persistenceSeconds &&
    (a.persistenceSeconds === 0 || a.persistencePrefix === b.persistencePrefix) &&
    a.flags.length === b.flags.length &&
    a.flags.every((flag, index) => flag === b.flags[index])
  );
}

/** Same key and nothing for an update to change. */
export function sameRealServer(a: RealServer, b: RealServer): boolean {
  return a.key === b.key && a.weight === b.weight && a.forwarding === b.forwarding;
}
