import { familyOf, hostPrefix, type IPAddress, type IPFamily } from "./address.ts";
import type { Brand } from "./brand.ts";
import type { Protocol } from "./service.ts";

export type SetType = "hash:ip" | "hash:ip,port" | "hash:ip,port,ip" | "hash:ip,port,net" | "bitmap:port";

/** The sets by the names kube-proxy gave them for IPv4; third parties match on these. */
export type SetBase =
  | "KUBE-LOOP-BACK"
  | "KUBE-CLUSTER-IP"
  | "KUBE-NODE-PORT-TCP"
  | "KUBE-NODE-PORT-UDP"
  | "KUBE-NODE-PORT-SCTP-HASH"
  | "KUBE-IPVS-IPS";

export const SET_TYPES: Readonly<Record<SetBase, SetType>> = {
  "KUBE-LOOP-BACK": "hash:ip,port,ip",
  "KUBE-CLUSTER-IP": "hash:ip,port",
  "KUBE-NODE-PORT-TCP": "bitmap:port",
  "KUBE-NODE-PORT-UDP": "bitmap:port",
  "KUBE-NODE-PORT-SCTP-HASH": "hash:ip,port",
  "KUBE-IPVS-IPS": "hash:ip",
};

/** The name in the kernel, as "KUBE-CLUSTER-IP" or "KUBE-6-CLUSTER-IP". */
export type SetName = Brand<string, "SetName">;

export interface IPSet {
  readonly name: SetName;
  readonly base: SetBase;
  readonly family: IPFamily;
  readonly type: SetType;
}

// SET_TYPES is a Record of exactly these keys.
const SET_BASES = Object.keys(SET_TYPES) as SetBase[];

/** One object for each set: at 50,000 Services every member has a reference to it. */
const SETS: Readonly<Record<IPFamily, Readonly<Record<SetBase, IPSet>>>> = {
  IPv4: setsOf("IPv4"),
  IPv6: setsOf("IPv6"),
};

function setsOf(family: IPFamily): Readonly<Record<SetBase, IPSet>> {
  // One for each key of SET_TYPES, which are all of SetBase.
  return Object.fromEntries(SET_BASES.map((base) => [base, makeSet(base, family)])) as Record<SetBase, IPSet>;
}

function makeSet(base: SetBase, family: IPFamily): IPSet {
  const name = family === "IPv4" ? base : base.replace("KUBE-", "KUBE-6-").slice(0, 31);
  return { name: name as SetName, base, family, type: SET_TYPES[base] };
}

/** A set of one family. IPv6 names are cut to the kernel's 31 characters, as kube-proxy cuts them. */
export function ipset(base: SetBase, family: IPFamily): IPSet {
  return SETS[family][base];
}

/** All sets of one family, in the order of SET_TYPES. */
export function ipsets(family: IPFamily): readonly IPSet[] {
  return SET_BASES.map((base) => ipset(base, family));
}

/** "KUBE-CLUSTER-IP 10.96.0.1,tcp:443": set name and the text `ipset` prints for the member. */
export type SetEntryKey = Brand<string, "SetEntryKey">;

/** One member. Which fields are there follows from the type of the set. */
export interface SetEntry {
  readonly key: SetEntryKey;
  readonly set: IPSet;
  /** The member as `ipset` prints it. */
  readonly text: string;
  readonly address?: IPAddress;
  readonly protocol?: Protocol;
  readonly port?: number;
  /** The third part of hash:ip,port,ip and hash:ip,port,net. */
  readonly second?: IPAddress;
  /** Prefix length of `second` in hash:ip,port,net. */
  readonly secondPrefix?: number;
}

/** A member of a hash:ip set. */
export function addressEntry(set: IPSet, address: IPAddress): SetEntry {
  return { ...named(set, address), address };
}

/** A member of a bitmap:port set. */
export function portEntry(set: IPSet, port: number): SetEntry {
  return { ...named(set, String(port)), port };
}

/** A member of a hash:ip,port set. */
export function addressPortEntry(set: IPSet, address: IPAddress, protocol: Protocol, port: number): SetEntry {
  return { ...named(set, `${address},${protocol.toLowerCase()}:${port}`), address, protocol, port };
}

/** A member of a hash:ip,port,ip set, or of hash:ip,port,net where the prefix may be shorter than an address. */
export function addressPortAddressEntry(
  set: IPSet,
  address: IPAddress,
  protocol: Protocol,
  port: number,
  second: IPAddress,
  secondPrefix: number = hostPrefix(familyOf(second)),
): SetEntry {
  const third = secondPrefix === hostPrefix(familyOf(second)) ? second : `${second}/${secondPrefix}`;
  const text = `${address},${protocol.toLowerCase()}:${port},${third}`;
  return { ...named(set, text), address, protocol, port, second, secondPrefix };
}

function named(set: IPSet, text: string): Pick<SetEntry, "key" | "set" | "text"> {
  return { key: `${set.name} ${text}` as SetEntryKey, set, text };
}
