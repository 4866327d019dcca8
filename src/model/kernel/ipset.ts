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

/** The meaning of the members of a set. */
export type SetRole =
  /** A frontend by address, protocol and port. */
  | "frontend"
  /** A frontend whose address is from outside the cluster: an external IP or a load balancer's address. */
  | "external-frontend"
  /** A frontend that is restricted to the clients in the sets of role "client". */
  | "restricted-frontend"
  /** The port number of a NodePort. */
  | "node-port"
  /** An address on which NodePorts answer. */
  | "node-address"
  /** The mark of a virtual server by firewall mark. */
  | "marked-server"
  /** A frontend and one of the clients that may use it. */
  | "client"
  /** A frontend and the mark that packets to it get, with the extension skbinfo. */
  | "marked-frontend"
  /** Not related to a virtual server. */
  | "other";

/** The definition of a set. */
interface SetDefinition {
  readonly type: SetType;
  readonly role: SetRole;
}

const DEFINITIONS: Readonly<Record<SetBase, SetDefinition>> = {
  // Its members are endpoints that connect to themselves.
  "KUBE-LOOP-BACK": { type: "hash:ip,port,ip", role: "other" },
  "KUBE-CLUSTER-IP": { type: "hash:ip,port", role: "frontend" },
  "KUBE-EXTERNAL-IP": { type: "hash:ip,port", role: "external-frontend" },
  "KUBE-EXTERNAL-IP-LOCAL": { type: "hash:ip,port", role: "external-frontend" },
  "KUBE-LOAD-BALANCER": { type: "hash:ip,port", role: "external-frontend" },
  "KUBE-LOAD-BALANCER-LOCAL": { type: "hash:ip,port", role: "external-frontend" },
  "KUBE-LOAD-BALANCER-FW": { type: "hash:ip,port", role: "restricted-frontend" },
  "KUBE-LOAD-BALANCER-SOURCE-CIDR": { type: "hash:ip,port,net", role: "client" },
  "KUBE-LOAD-BALANCER-SOURCE-IP": { type: "hash:ip,port,ip", role: "client" },
  "KUBE-NODE-PORT-TCP": { type: "bitmap:port", role: "node-port" },
  "KUBE-NODE-PORT-LOCAL-TCP": { type: "bitmap:port", role: "node-port" },
  "KUBE-NODE-PORT-UDP": { type: "bitmap:port", role: "node-port" },
  "KUBE-NODE-PORT-LOCAL-UDP": { type: "bitmap:port", role: "node-port" },
  "KUBE-NODE-PORT-SCTP-HASH": { type: "hash:ip,port", role: "frontend" },
  "KUBE-NODE-PORT-LOCAL-SCTP-HASH": { type: "hash:ip,port", role: "frontend" },
  // Its members are ports of the node and not of virtual servers.
  "KUBE-HEALTH-CHECK-NODE-PORT": { type: "bitmap:port", role: "other" },
  // Its members are addresses, which prove no ownership: an address on kube-ipvs0 shows the same.
  "KUBE-IPVS-IPS": { type: "hash:ip", role: "other" },
  // kube-proxy does not have the following sets.
  "KUBE-NODE-PORT-IPS": { type: "hash:ip", role: "node-address" },
  "KUBE-SERVICE-CIDR": { type: "hash:net", role: "other" },
  "KUBE-DROP": { type: "hash:ip,port", role: "frontend" },
  "KUBE-DROP-EXTERNAL": { type: "hash:ip,port", role: "frontend" },
  "KUBE-LOCAL-MARK": { type: "hash:ip,port", role: "marked-frontend" },
  // Its members are marks and not ports: any set of numbers works.
  "KUBE-LOCAL-MARK-SERVERS": { type: "bitmap:port", role: "marked-server" },
};

/** The name in the kernel, such as "KUBE-CLUSTER-IP" or "KUBE-6-CLUSTER-IP". */
export type SetName = Brand<string, "SetName">;

export interface IPSet {
  readonly name: SetName;
  readonly base: SetBase;
  readonly family: IPFamily;
  readonly type: SetType;
  readonly role: SetRole;
}

// DEFINITIONS is a Record of exactly these keys.
const SET_BASES = Object.keys(DEFINITIONS) as SetBase[];

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
  return { name: name as SetName, base, family, ...DEFINITIONS[base] };
}

/** Returns the set of a family. IPv6 names are cut to the 31 characters that the kernel allows, as kube-proxy does. */
export function ipset(base: SetBase, family: IPFamily): IPSet {
  return SETS[family][base];
}

/** Whether the members of the set give packets a mark. The kernel then keeps a mark for each member (`skbinfo`). */
export function givesMarks({ role }: IPSet): boolean {
  return role === "marked-frontend";
}

/** The largest size to which a set grows: a member takes about 60 bytes of memory that cannot be swapped. */
export const MOST_MEMBERS = 2 ** 24;
/** The numbers of a bitmap. */
const BITMAP_MEMBERS = 2 ** 16;

/** The number of members that the set can have. `marks` is the number of marks for virtual servers. */
export function memberLimit({ type, role }: IPSet, marks: number): number {
  if (role === "marked-server") return marks;
  return type === "bitmap:port" ? BITMAP_MEMBERS : MOST_MEMBERS;
}

/** Returns all sets of a family, in the order of DEFINITIONS. */
export function ipsets(family: IPFamily): readonly IPSet[] {
  return SET_BASES.map((base) => ipset(base, family));
}

/** The sets that kube-proxy does not have. */
const OWN_BASES: ReadonlySet<SetBase> = new Set([
  "KUBE-NODE-PORT-IPS",
  "KUBE-SERVICE-CIDR",
  "KUBE-DROP",
  "KUBE-DROP-EXTERNAL",
  "KUBE-LOCAL-MARK",
  "KUBE-LOCAL-MARK-SERVERS",
]);

/** Whether kube-proxy in IPVS mode has a set of this name. */
export function isKnownToKubeProxy({ base }: IPSet): boolean {
  return !OWN_BASES.has(base);
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
