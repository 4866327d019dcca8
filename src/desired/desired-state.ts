import type { IPAddress } from "../model/address.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import { sameFields, sameOrAbsent } from "../model/equality.ts";
import type { SetEntry, SetEntryKey } from "../model/kernel/ipset.ts";
import { sameVirtualServer, type VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { KeyLists, Keys } from "../model/kernel/keys.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import { only } from "../model/only.ts";
import { Claimants, type Conflict } from "./claim.ts";
import { References } from "./references.ts";
import type { WantedServer, Wants } from "./service/wants.ts";

/** Of an object that many Services share, so many are named. */
const NAMED_SERVICES = 3;
const NOBODY: readonly ServiceName[] = [];
const NOTHING: Wants = { servers: [], addresses: [], entries: [] };
const NO_MEMBERS: readonly SetEntry[] = [];
const NO_TWINS: readonly VirtualServerKey[] = [];

/**
 * What all Services together want of this node. Addresses and set members may be shared: they are wanted as long as one
 * Service wants them. A virtual server is not: who holds it follows from titles and names, never from the order of events,
 * and the members that speak of it are the holder's. They would restrict, drop or mark the clients of that Service.
 */
export class DesiredState {
  readonly #wants = new Map<ServiceName, Wants>();
  /** As the Service that holds it wants it. */
  readonly #servers = new Map<VirtualServerKey, WantedServer>();
  /** All claims to the few keys with more than one: at 50,000 Services a list for every key would weigh. */
  readonly #contested = new Map<VirtualServerKey, Claimants<WantedServer>>();
  /** How many of the virtual servers that a Service wants others hold; only where there are any. */
  readonly #lost = new Map<ServiceName, number>();
  /** Services for which this has changed since it was last asked for. */
  #lostAnew = new Set<ServiceName>();
  readonly #addresses = new References<IPAddress, IPAddress>((address) => address);
  readonly #entries = new References<SetEntryKey, SetEntry>(({ key }) => key);
  #elsewhere: ReadonlySet<IPAddress> = new Set();
  #realServers = 0;

  /**
   * Puts new wants of a Service (undefined: it is gone) in place of the old. Returns the keys whose desired value is
   * now another, wherever it comes from. Costs as much as the Service is large.
   */
  replace(name: ServiceName, wants: Wants | undefined): KeyLists {
    const before = this.#wants.get(name) ?? NOTHING;
    const after = wants ?? NOTHING;
    if (wants === undefined) this.#wants.delete(name);
    else this.#wants.set(name, wants);
    const touched = this.#touchedBy(before, after);
    const held = touched.map((key) => this.#servers.get(key));
    const dropped = this.#membersOfAll(held, before.entries);
    this.#replaceClaims(before.servers, after.servers);
    const holds = touched.map((key) => this.#servers.get(key));
    const added = this.#membersOfAll(holds, after.entries);
    const differs = touched.map((_, index) => this.#counts(held[index], holds[index]));
    return {
      servers: only(touched, (_, index) => differs[index] === true),
      addresses: this.#addresses.replace(before.addresses, after.addresses),
      entries: this.#entries.replace(dropped, added),
    };
  }

  /** The desired virtual server with its real servers; undefined when nobody wants it. */
  server(key: VirtualServerKey): ServerState | undefined {
    return this.#servers.get(key);
  }

  /** The Service that holds the virtual server. */
  owner(key: VirtualServerKey): ServiceName | undefined {
    return this.#servers.get(key)?.service;
  }

  /** The virtual servers that serve the same frontends to other clients. */
  twins(key: VirtualServerKey): readonly VirtualServerKey[] {
    return this.#servers.get(key)?.twins ?? NO_TWINS;
  }

  /**
   * The Services that want each of these objects, at most three of each, in the order in which the Services came; an object
   * that none wants is left out. Walks over all Services: for reports of what fails, not for every change.
   */
  servicesOf({ servers, addresses, entries }: Keys): ReadonlyMap<string, readonly ServiceName[]> {
    const found = new Map<string, readonly ServiceName[]>();
    for (const key of servers) addName(found, key, this.owner(key));
    const asked = { addresses: new Set(addresses), entries: new Set(entries) };
    if (asked.addresses.size + asked.entries.size === 0) return found;
    for (const [name, wants] of this.#wants) {
      for (const address of wants.addresses) if (asked.addresses.has(address)) addName(found, address, name);
      for (const { key } of this.#membersHeldBy(wants)) if (asked.entries.has(key)) addName(found, key, name);
    }
    return found;
  }

  servers(): Iterable<ServerState> {
    return this.#servers.values();
  }

  /** The names of all that each Service wants, in the order in which the Services came. */
  *byService(): Generator<KeyLists> {
    for (const { servers, addresses, entries } of this.#wants.values())
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

  /** Whether another interface of this node has the address. */
  isElsewhere(address: IPAddress): boolean {
    return this.#elsewhere.has(address);
  }

  /** Takes in all addresses of the other interfaces; returns those that are new. */
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

  /** How many of the virtual servers that the Service wants others hold. */
  lost(name: ServiceName): number {
    return this.#lost.get(name) ?? 0;
  }

  /** Every virtual server that a Service wants and another one holds. */
  *conflicts(): Generator<Conflict> {
    for (const name of this.#lost.keys()) yield* this.conflictsOf(name);
  }

  /** The Services that want virtual servers which others hold. */
  losers(): Iterable<ServiceName> {
    return this.#lost.keys();
  }

  /** The virtual servers that the Service wants and others hold, in the order of its frontends. */
  *conflictsOf(name: ServiceName): Generator<Conflict, undefined> {
    let left = this.lost(name);
    for (const { server } of this.#wants.get(name)?.servers ?? []) {
      if (left === 0) break;
      const holder = this.owner(server.key);
      if (holder === undefined || holder === name) continue;
      left--;
      yield { key: server.key, holder, loser: name };
    }
    return undefined;
  }

  /** The Services that lost or got back virtual servers since this was last called. */
  takeLostAnew(): ReadonlySet<ServiceName> {
    const services = this.#lostAnew;
    if (services.size > 0) this.#lostAnew = new Set();
    return services;
  }

  /** How many objects of each kind are wanted; kept along, not counted. */
  counts(): Readonly<Record<"virtualServers" | "realServers" | "addresses" | "entries", number>> {
    return {
      virtualServers: this.#servers.size,
      realServers: this.#realServers,
      addresses: this.#addresses.size,
      entries: this.#entries.size,
    };
  }

  /**
   * The virtual servers that may be another's, or have other members, once the Service wants something else: those it
   * wants, and by address those of every Service that wants the same mark.
   */
  #touchedBy(before: Wants, after: Wants): readonly VirtualServerKey[] {
    if (before.servers.length === 0 && after.servers.every(({ server }) => server.mark === 0))
      return after.servers.map(({ server }) => server.key);
    const keys = new Set<VirtualServerKey>();
    const add = ({ server: { key, mark } }: WantedServer): void => {
      keys.add(key);
      if (mark === 0) return;
      for (const { twins } of this.#contested.get(key) ?? []) for (const twin of twins) keys.add(twin);
      for (const twin of this.twins(key)) keys.add(twin);
    };
    before.servers.forEach(add);
    after.servers.forEach(add);
    return [...keys];
  }

  /** The members that their Services have of these virtual servers, and the others. */
  #membersOfAll(states: readonly (WantedServer | undefined)[], others: readonly SetEntry[]): readonly SetEntry[] {
    if (states.every((state) => state === undefined)) return others;
    const lists = states.map((state) => (state === undefined ? NO_MEMBERS : this.#membersOf(state)));
    // Mostly there is one. Unlike `flat` and `push`, `concat` leaves no room over, which as garbage is half of the work.
    const [first = NO_MEMBERS] = lists;
    return lists.length < 2 ? first.concat(others) : lists.flat().concat(others);
  }

  /** The members that a Service has of those it wants. */
  *#membersHeldBy({ servers, entries }: Wants): Generator<SetEntry> {
    for (const state of servers) if (this.#servers.get(state.server.key) === state) yield* this.#membersOf(state);
    yield* entries;
  }

  /** A member with a mark needs the virtual server by mark besides: if another Service holds it, it would lead there. */
  #membersOf({ service, server, entries, twins }: WantedServer): readonly SetEntry[] {
    const [marked] = server.mark === 0 ? twins : NO_TWINS;
    if (marked === undefined || this.owner(marked) === service) return entries;
    return entries.filter(({ mark }) => mark === undefined);
  }

  #replaceClaims(before: readonly WantedServer[], after: readonly WantedServer[]): void {
    const left = before.length === 0 ? undefined : new Map(before.map((state) => [state.server.key, state]));
    for (const state of after) {
      const { key } = state.server;
      this.#claim(key, left?.get(key), state);
      left?.delete(key);
    }
    for (const [key, state] of left ?? []) this.#claim(key, state, undefined);
  }

  /** Puts a claim (undefined: none) in place of what the same Service claimed before. */
  #claim(key: VirtualServerKey, known: WantedServer | undefined, state: WantedServer | undefined): void {
    const holder = this.#servers.get(key);
    const best = this.#isContested(key, known) ? this.#bestOf(key, known, state) : state;
    if (best === undefined) this.#servers.delete(key);
    else this.#servers.set(key, best);
    this.#countLost(holder, best, known, state);
  }

  /** Whether another Service than the one of `known` wants the virtual server. */
  #isContested(key: VirtualServerKey, known: WantedServer | undefined): boolean {
    return this.#contested.has(key) || (this.#servers.get(key) ?? known) !== known;
  }

  /** As `#claim`, where several Services want it; returns the claim that counts from now on. */
  #bestOf(
    key: VirtualServerKey,
    known: WantedServer | undefined,
    state: WantedServer | undefined,
  ): WantedServer | undefined {
    const rivals = this.#contested.get(key) ?? new Claimants(this.#servers.get(key));
    if (known !== undefined) rivals.delete(known);
    if (state !== undefined) rivals.add(state);
    if (rivals.size === 1) this.#contested.delete(key);
    else this.#contested.set(key, rivals);
    return rivals.best;
  }

  /** A claim was replaced, and with it perhaps who holds the virtual server. */
  #countLost(
    holder: WantedServer | undefined,
    best: WantedServer | undefined,
    known: WantedServer | undefined,
    state: WantedServer | undefined,
  ): void {
    if (known !== undefined && holder !== known) this.#lose(known.service, -1);
    if (state !== undefined && best !== state) this.#lose(state.service, 1);
    if (holder === undefined || best === undefined || holder === best) return;
    // It has changed hands, and one of the two may be another Service.
    if (holder !== known) this.#lose(holder.service, 1);
    if (best !== state) this.#lose(best.service, -1);
  }

  #lose(name: ServiceName, step: 1 | -1): void {
    const count = this.lost(name) + step;
    if (count === 0) this.#lost.delete(name);
    else this.#lost.set(name, count);
    this.#lostAnew.add(name);
  }

  /** Keeps the count of real servers right; returns whether the two differ. */
  #counts(old: ServerState | undefined, now: ServerState | undefined): boolean {
    this.#realServers += (now?.reals.size ?? 0) - (old?.reals.size ?? 0);
    return !sameState(old, now);
  }
}

/** The keys of all set entries of one Service, each once. Most Services have one virtual server and no duplicates. */
function entryKeys(servers: readonly WantedServer[], others: readonly SetEntry[]): readonly SetEntryKey[] {
  const [first] = servers;
  if (first !== undefined && servers.length === 1) return first.entries.concat(others).map(({ key }) => key);
  return [...new Set([...servers.flatMap(({ entries }) => entries), ...others].map(({ key }) => key))];
}

function addName(found: Map<string, readonly ServiceName[]>, key: string, name: ServiceName | undefined): void {
  const names = found.get(key) ?? NOBODY;
  if (name !== undefined && names.length < NAMED_SERVICES && !names.includes(name)) found.set(key, [...names, name]);
}

/** Nothing differs that the kernel or a later removal depends on. */
const sameState = sameOrAbsent(
  sameFields<ServerState>({
    // How long it drains is nothing to the kernel, but whoever removes it later must know the last word.
    server: (a, b) => a.drainTimeoutMs === b.drainTimeoutMs && sameVirtualServer(a, b),
    reals: (a, b) => a.equals(b),
  }),
);
