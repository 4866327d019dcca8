import { type Cidr, hostPrefix, type IPAddress, type IPFamily } from "../address.ts";
import type { Brand } from "../brand.ts";
import type { Protocol } from "../cluster/service.ts";

export type SetType = "hash:ip" | "hash:net" | "hash:ip,port" | "hash:ip,port,ip" | "hash:ip,port,net" | "bitmap:port";

/**
 * The names of the sets for IPv4. Sets that kube-proxy has too keep its names, because other programs refer to them.
 */
export type SetBase =
  | "KUBE-LOOP-BACK"
  | "KUBE-CLUSTER-IP"
  | "KUBE-EXTERNAL-IP"
  | "KUBE-EXTERNAL-IP-LOCAL"
  | "KUBE-LOAD-BALANCER"
  | "KUBE-LOAD-BALANCER-LOCAL"
  | "KUBE-LOAD-BALANCER-FW"
  | "KUBE-LOAD-BALANCER-SOURCE-CIDR"
  | "KUBE-LOAD-BALANCER-SOURCE-IP"
  | "KUBE-NODE-PORT-TCP"
  | "KUBE-NODE-PORT-LOCAL-TCP"
  | "KUBE-NODE-PORT-UDP"
  | "KUBE-NODE-PORT-LOCAL-UDP"
  | "KUBE-NODE-PORT-SCTP-HASH"
  | "KUBE-NODE-PORT-LOCAL-SCTP-HASH"
  | "KUBE-HEALTH-CHECK-NODE-PORT"
  | "KUBE-IPVS-IPS"
  | "KUBE-NODE-PORT-IPS"
  | "KUBE-SERVICE-CIDR"
  | "KUBE-DROP"
  | "KUBE-DROP-EXTERNAL"
  | "KUBE-LOCAL-MARK"
  | "KUBE-LOCAL-MARK-SERVERS";

export const SET_TYPES: Readonly<Record<SetBase, SetType>> = {
  "KUBE-LOOP-BACK": "hash:ip,port,ip",
  "KUBE-CLUSTER-IP": "hash:ip,port",
  "KUBE-EXTERNAL-IP": "hash:ip,port",
  "KUBE-EXTERNAL-IP-LOCAL": "hash:ip,port",
  "KUBE-LOAD-BALANCER": "hash:ip,port",
  "KUBE-LOAD-BALANCER-LOCAL": "hash:ip,port",
  "KUBE-LOAD-BALANCER-FW": "hash:ip,port",
  "KUBE-LOAD-BALANCER-SOURCE-CIDR": "hash:ip,port,net",
  "KUBE-LOAD-BALANCER-SOURCE-IP": "hash:ip,port,ip",
  "KUBE-NODE-PORT-TCP": "bitmap:port",
  "KUBE-NODE-PORT-LOCAL-TCP": "bitmap:port",
  "KUBE-NODE-PORT-UDP": "bitmap:port",
  "KUBE-NODE-PORT-LOCAL-UDP": "bitmap:port",
  "KUBE-NODE-PORT-SCTP-HASH": "hash:ip,port",
  "KUBE-NODE-PORT-LOCAL-SCTP-HASH": "hash:ip,port",
  "KUBE-HEALTH-CHECK-NODE-PORT": "bitmap:port",
  "KUBE-IPVS-IPS": "hash:ip",
  // kube-proxy does not have the following sets.
  "KUBE-NODE-PORT-IPS": "hash:ip",
  "KUBE-SERVICE-CIDR": "hash:net",
  "KUBE-DROP": "hash:ip,port",
  "KUBE-DROP-EXTERNAL": "hash:ip,port",
  "KUBE-LOCAL-MARK": "hash:ip,port",
  // Its members are the marks of virtual servers by firewall mark and not ports: any set of numbers works.
  "KUBE-LOCAL-MARK-SERVERS": "bitmap:port",
};

/** The sets whose members give packets a mark, with the extension skbinfo. */
const MARKING: ReadonlySet<SetBase> = new Set<SetBase>(["KUBE-LOCAL-MARK"]);

/** The name in the kernel, such as "KUBE-CLUSTER-IP" or "KUBE-6-CLUSTER-IP". */
export type SetName = Brand<string, "SetName">;

export interface IPSet {
  readonly name: SetName;
  readonly base: SetBase;
  readonly family: IPFamily;
  readonly type: SetType;
  /** Whether the members of the set give packets a mark (`skbinfo`). */
  readonly marks: boolean;
}

// SET_TYPES is a Record of exactly these keys.
const SET_BASES = Object.keys(SET_TYPES) as SetBase[];

/** Each set is one object: with 50,000 Services every member has a reference to it. */
const SETS: Readonly<Record<IPFamily, Readonly<Record<SetBase, IPSet>>>> = {
  IPv4: setsOf("IPv4"),
  IPv6: setsOf("IPv6"),
};

function setsOf(family: IPFamily): Readonly<Record<SetBase, IPSet>> {
  // SET_BASES has exactly the values of SetBase.
  return Object.fromEntries(SET_BASES.map((base) => [base, makeSet(base, family)])) as Record<SetBase, IPSet>;
}

function makeSet(base: SetBase, family: IPFamily): IPSet {
  const name = family === "IPv4" ? base : base.replace("KUBE-", "KUBE-6-").slice(0, 31);
  return { name: name as SetName, base, family, type: SET_TYPES[base], marks: MARKING.has(base) };
}

/** Returns the set of a family. IPv6 names are cut to the 31 characters that the kernel allows, as kube-proxy does. */
export function ipset(base: SetBase, family: IPFamily): IPSet {
  return SETS[family][base];
}

/** Returns all sets of a family, in the order of SET_TYPES. */
export function ipsets(family: IPFamily): readonly IPSet[] {
  return SET_BASES.map((base) => ipset(base, family));
}

/** Set name and member text as `ipset` prints it: "KUBE-CLUSTER-IP 10.96.0.1,tcp:443". */
export type SetEntryKey = Brand<string, "SetEntryKey">;

/** One member of a set. The type of the set determines which fields are present. */
export interface SetEntry {
  readonly key: SetEntryKey;
  readonly set: IPSet;
  /** The member as `ipset` prints it. */
  readonly text: string;
  readonly address?: IPAddress;
  readonly protocol?: Protocol;
  readonly port?: number;
  /** Prefix length of `address` in hash:net. */
  readonly prefix?: number;
  /** The third part of a member of hash:ip,port,ip or hash:ip,port,net. */
  readonly second?: IPAddress;
  /** Prefix length of `second` in hash:ip,port,net. */
  readonly secondPrefix?: number;
  /** The mark that a packet gets in the bits of `markMask`; only for a set with `marks`. */
  readonly mark?: number;
  readonly markMask?: number;
}

/** Returns a member of a hash:ip set. */
export function addressEntry(set: IPSet, address: IPAddress): SetEntry {
  return { key: entryKey(set, address), set, text: address, address };
}

/** Returns a member of a hash:net set. The kernel does not accept a prefix length of 0. */
export function networkEntry(set: IPSet, network: Cidr): SetEntry {
  const text = networkText(network);
  return { key: entryKey(set, text), set, text, address: network.address, prefix: network.prefix };
}

/** Returns a member of a bitmap:port set. */
export function portEntry(set: IPSet, port: number): SetEntry {
  const text = String(port);
  return { key: entryKey(set, text), set, text, port };
}

/** Returns a member of a hash:ip,port set. */
export function addressPortEntry(set: IPSet, address: IPAddress, protocol: Protocol, port: number): SetEntry {
  const text = addressPortText(address, protocol, port);
  return { key: entryKey(set, text), set, text, address, protocol, port };
}

/** Returns the keys of the same member in each of these hash:ip,port sets. */
export function addressPortKeys(
  sets: readonly IPSet[],
  address: IPAddress,
  protocol: Protocol,
  port: number,
): readonly SetEntryKey[] {
  const text = addressPortText(address, protocol, port);
  return sets.map((set) => entryKey(set, text));
}

/**
 * Returns a member of a hash:ip,port set with marks. The kernel identifies the member by address and port alone: a
 * member with another mark must be deleted before this one is added.
 */
export function markEntry(
  set: IPSet,
  address: IPAddress,
  protocol: Protocol,
  port: number,
  mark: number,
  markMask: number,
): SetEntry {
  const text = `${addressPortText(address, protocol, port)} skbmark 0x${mark.toString(16)}/0x${markMask.toString(16)}`;
  return { key: entryKey(set, text), set, text, address, protocol, port, mark, markMask };
}

/** Returns a member of a hash:ip,port,ip set. */
export function addressPortAddressEntry(
  set: IPSet,
  address: IPAddress,
  protocol: Protocol,
  port: number,
  second: IPAddress,
): SetEntry {
  const text = `${addressPortText(address, protocol, port)},${second}`;
  return { key: entryKey(set, text), set, text, address, protocol, port, second };
}

/** Returns a member of a hash:ip,port,net set. The kernel does not accept a prefix length of 0. */
export function addressPortNetworkEntry(
  set: IPSet,
  address: IPAddress,
  protocol: Protocol,
  port: number,
  network: Cidr,
): SetEntry {
  const text = `${addressPortText(address, protocol, port)},${networkText(network)}`;
  return {
    key: entryKey(set, text),
    set,
    text,
    address,
    protocol,
    port,
    second: network.address,
    secondPrefix: network.prefix,
  };
}

/** Returns a network as `ipset` prints it: without a prefix length for a single address. */
function networkText({ address, prefix, family, text }: Cidr): string {
  return prefix === hostPrefix(family) ? address : text;
}

const PROTOCOL_WORDS: Readonly<Record<Protocol, string>> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };

function addressPortText(address: IPAddress, protocol: Protocol, port: number): string {
  return `${address},${PROTOCOL_WORDS[protocol]}:${port}`;
}

function entryKey(set: IPSet, text: string): SetEntryKey {
  return `${set.name} ${text}` as SetEntryKey;
}
