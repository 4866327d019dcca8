import type { IPAddress } from "../model/address.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import { sameFields, sameOrAbsent } from "../model/equality.ts";
import type { SetEntry, SetEntryKey } from "../model/kernel/ipset.ts";
import { sameVirtualServer, type VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { KeyLists, Keys } from "../model/kernel/keys.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import { only } from "../model/only.ts";
import type { Conflict } from "./claim.ts";
import { RefCountedMap } from "./ref-counted-map.ts";
import { ServerOwners } from "./server-owners.ts";
import type { DesiredServer, DesiredService } from "./service/desired-service.ts";

/** The maximum number of Services that are named for an object that several Services share. */
const NAMED_SERVICES = 3;
const NOBODY: readonly ServiceName[] = [];
const NOTHING: DesiredService = { servers: [], addresses: [], entries: [] };
const NO_MEMBERS: readonly SetEntry[] = [];
const NO_COUNTERPARTS: readonly VirtualServerKey[] = [];

/**
 * The desired state of all Services together. Addresses and set members may be shared: they exist as long as at least
 * one Service needs them. A virtual server is not shared: its owner follows from precedence and names, and not from the
 * order of events. Only the owner's set members for the frontend are used, because the members of another Service would
 * restrict, drop or mark the owner's clients.
 */
export class DesiredState {
  readonly #services = new Map<ServiceName, DesiredService>();
  readonly #owners = new ServerOwners();
  readonly #addresses = new RefCountedMap<IPAddress, IPAddress>((address) => address);
  readonly #entries = new RefCountedMap<SetEntryKey, SetEntry>(({ key }) => key);
  #elsewhere: ReadonlySet<IPAddress> = new Set();
  #realServers = 0;

  /**
   * Replaces the desired state of a Service; undefined: the Service is deleted. Returns the keys whose desired value
   * changed, for whatever reason. The cost is proportional to the size of the Service.
   */
  replace(name: ServiceName, desired: DesiredService | undefined): KeyLists {
    const before = this.#services.get(name) ?? NOTHING;
    const after = desired ?? NOTHING;
    if (desired === undefined) this.#services.delete(name);
    else this.#services.set(name, desired);
    const touched = this.#touchedBy(before, after);
    const held = touched.map((key) => this.#owners.get(key));
    const dropped = this.#membersOfAll(held, before.entries);
    this.#owners.replace(before.servers, after.servers);
    const holds = touched.map((key) => this.#owners.get(key));
    const added = this.#membersOfAll(holds, after.entries);
    const differs = touched.map((_, index) => this.#counts(held[index], holds[index]));
    return {
      servers: only(touched, (_, index) => differs[index] === true),
      addresses: this.#addresses.replace(before.addresses, after.addresses),
      entries: this.#entries.replace(dropped, added),
    };
  }

  /** The desired virtual server with its real servers; undefined if no Service claims it. */
  server(key: VirtualServerKey): ServerState | undefined {
    return this.#owners.get(key);
  }

  /** The set members that the Service needs. */
  entriesOf(name: ServiceName): readonly SetEntry[] {
    const desired = this.#services.get(name);
    return desired === undefined ? NO_MEMBERS : [...this.#usedMembersOf(desired)];
  }

  /** The Service that owns the virtual server. */
  owner(key: VirtualServerKey): ServiceName | undefined {
    return this.#owners.get(key)?.service;
  }

  /** The virtual servers that serve the same frontends to other clients. */
  counterparts(key: VirtualServerKey): readonly VirtualServerKey[] {
    return this.#owners.get(key)?.counterparts ?? NO_COUNTERPARTS;
  }

  /**
   * At most three Services for each object that need it, in the order in which they were added. Objects that no Service
   * needs are left out. Iterates over all Services, so call it only to report failures.
   */
  servicesOf({ servers, addresses, entries }: Keys): ReadonlyMap<string, readonly ServiceName[]> {
    const found = new Map<string, readonly ServiceName[]>();
    for (const key of servers) addName(found, key, this.owner(key));
    const asked = { addresses: new Set(addresses), entries: new Set(entries) };
    if (asked.addresses.size + asked.entries.size === 0) return found;
    for (const [name, desired] of this.#services) {
      for (const address of desired.addresses) if (asked.addresses.has(address)) addName(found, address, name);
      for (const { key } of this.#usedMembersOf(desired)) if (asked.entries.has(key)) addName(found, key, name);
    }
    return found;
  }

  servers(): Iterable<ServerState> {
    return this.#owners.values();
  }

  /** The keys of all objects that each Service needs, in the order in which the Services were added. */
  *byService(): Generator<KeyLists> {
    for (const { servers, addresses, entries } of this.#services.values())
      yield {
        servers: servers.map(({ server }) => server.key),
        addresses,
        entries: entryKeys(servers, entries),
      };
  }

  hasAddress(address: IPAddress): boolean {
    return this.#addresses.get(address) !== undefined;
  }

  addresses(): Iterable<IPAddress> {
    return this.#addresses.values();
  }

  /** Whether an interface of this node other than kube-ipvs0 has the address. */
  isElsewhere(address: IPAddress): boolean {
    return this.#elsewhere.has(address);
  }

  /** Replaces the addresses of all interfaces except kube-ipvs0; returns the new ones. */
  setElsewhere(addresses: readonly IPAddress[]): readonly IPAddress[] {
    const fresh = only(addresses, (address) => !this.#elsewhere.has(address));
    this.#elsewhere = new Set(addresses);
    return fresh;
  }

  entry(key: SetEntryKey): SetEntry | undefined {
    return this.#entries.get(key);
  }

  entries(): Iterable<SetEntry> {
    return this.#entries.values();
  }

  /** The number of virtual servers that the Service claims and other Services own. */
  shadowedServers(name: ServiceName): number {
    return this.#owners.shadowedServers(name);
  }

  /** The Services that claim virtual servers of other Services. */
  shadowedServices(): Iterable<ServiceName> {
    return this.#owners.shadowedServices();
  }

  /** The Services that lost or regained virtual servers since the last call. */
  takeChangedShadows(): ReadonlySet<ServiceName> {
    return this.#owners.takeChangedShadows();
  }

  /** All virtual servers that one Service claims and another Service owns. */
  *conflicts(): Generator<Conflict> {
    for (const name of this.shadowedServices()) yield* this.conflictsOf(name);
  }

  /** The virtual servers that the Service claims and other Services own, in the order of its frontends. */
  *conflictsOf(name: ServiceName): Generator<Conflict, undefined> {
    let left = this.shadowedServers(name);
    for (const { server } of this.#services.get(name)?.servers ?? []) {
      if (left === 0) break;
      const holder = this.owner(server.key);
      if (holder === undefined || holder === name) continue;
      left--;
      yield { key: server.key, owner: holder, shadowed: name };
    }
    return undefined;
  }

  /** The number of desired objects of each kind, which each change updates. */
  counts(): Readonly<Record<"virtualServers" | "realServers" | "addresses" | "entries", number>> {
    return {
      virtualServers: this.#owners.size,
      realServers: this.#realServers,
      addresses: this.#addresses.size,
      entries: this.#entries.size,
    };
  }

  /**
   * The virtual servers whose owner or members may change with this Service: those that it claims, and for a packet
   * mark those of every Service that claims the same mark.
   */
  #touchedBy(before: DesiredService, after: DesiredService): readonly VirtualServerKey[] {
    if (before.servers.length === 0 && after.servers.every(({ server }) => server.mark === 0))
      return after.servers.map(({ server }) => server.key);
    const keys = new Set<VirtualServerKey>();
    const add = ({ server: { key, mark } }: DesiredServer): void => {
      keys.add(key);
      if (mark === 0) return;
      for (const { counterparts } of this.#owners.claimsTo(key))
        for (const counterpart of counterparts) keys.add(counterpart);
      for (const counterpart of this.counterparts(key)) keys.add(counterpart);
    };
    before.servers.forEach(add);
    after.servers.forEach(add);
    return [...keys];
  }

  /** The members that belong to these virtual servers, followed by the others. */
  #membersOfAll(states: readonly (DesiredServer | undefined)[], others: readonly SetEntry[]): readonly SetEntry[] {
    if (states.every((state) => state === undefined)) return others;
    const lists = states.map((state) => (state === undefined ? NO_MEMBERS : this.#membersOf(state)));
    // There is usually one list. `flat` and `push` allocate spare capacity, which becomes garbage and takes half the
    // time.
    const [first = NO_MEMBERS] = lists;
    return lists.length < 2 ? first.concat(others) : lists.flat().concat(others);
  }

  /** The members of the Service that are used: those of the virtual servers that it owns, and its common ones. */
  *#usedMembersOf({ servers, entries }: DesiredService): Generator<SetEntry> {
    for (const state of servers) if (this.#owners.get(state.server.key) === state) yield* this.#membersOf(state);
    yield* entries;
  }

  /** Members with a mark are left out if another Service owns the virtual server of the mark: it would get packets. */
  #membersOf({ service, server, entries, counterparts }: DesiredServer): readonly SetEntry[] {
    const [marked] = server.mark === 0 ? counterparts : NO_COUNTERPARTS;
    if (marked === undefined || this.owner(marked) === service) return entries;
    return entries.filter(({ mark }) => mark === undefined);
  }

  /** Updates the number of real servers; returns whether the two states differ. */
  #counts(old: ServerState | undefined, now: ServerState | undefined): boolean {
    this.#realServers += (now?.reals.size ?? 0) - (old?.reals.size ?? 0);
    return !sameState(old, now);
  }
}

/** The keys of all set entries of one Service, each once. Most Services have one virtual server and no duplicates. */
function entryKeys(servers: readonly DesiredServer[], others: readonly SetEntry[]): readonly SetEntryKey[] {
  const [first] = servers;
  if (first !== undefined && servers.length === 1) return first.entries.concat(others).map(({ key }) => key);
  return [...new Set([...servers.flatMap(({ entries }) => entries), ...others].map(({ key }) => key))];
}

function addName(found: Map<string, readonly ServiceName[]>, key: string, name: ServiceName | undefined): void {
  const names = found.get(key) ?? NOBODY;
  if (name !== undefined && names.length < NAMED_SERVICES && !names.includes(name)) found.set(key, [...names, name]);
}

/** Whether two states are equal for the kernel and for a later removal. */
const sameState = sameOrAbsent(
  sameFields<ServerState>({
    // The drain timeout is not part of the kernel's virtual server, but a later removal needs the current value.
    server: (a, b) => a.drainTimeoutMs === b.drainTimeoutMs && sameVirtualServer(a, b),
    reals: (a, b) => a.equals(b),
  }),
);
