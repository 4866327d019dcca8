import type { ServerState } from "../kernel/kernel.ts";
import type { IPAddress } from "../model/address.ts";
import type { SetEntry, SetEntryKey } from "../model/ipset.ts";
import { sameVirtualServer, type VirtualServerKey } from "../model/ipvs.ts";
import type { ServiceName } from "../model/service.ts";
import { type Claim, compareClaims } from "./claim.ts";
import { heldEntries } from "./held-entries.ts";
import type { KeyLists, Keys } from "./keys.ts";
import { References } from "./references.ts";
import { twinsOf } from "./twins.ts";
import type { WantedServer, Wants } from "./wants.ts";

/** Several Services want one virtual server. The best title has it, of equal ones the first by name. */
export interface Conflict {
  readonly key: VirtualServerKey;
  readonly holder: ServiceName;
  readonly losers: readonly ServiceName[];
}

/** Of an object that many Services share, so many are named. */
const NAMED_SERVICES = 3;
const NOBODY: readonly ServiceName[] = [];
const NOTHING: Wants = { servers: [], addresses: [], entries: [] };

/**
 * What all Services together want of this node. Addresses and set members may be shared: they are wanted as long as one
 * Service wants them. A virtual server is not: who holds it follows from titles and names, never from the order of events,
 * and the members that speak of it are the holder's.
 */
export class DesiredState {
  readonly #wants = new Map<ServiceName, Wants>();
  readonly #holders = new Map<VirtualServerKey, ServiceName>();
  /** All claimants, sorted, of the few keys with more than one: at 50,000 Services a list for every key would weigh. */
  readonly #contested = new Map<VirtualServerKey, readonly Claim[]>();
  readonly #addresses = new References<IPAddress, IPAddress>((address) => address);
  readonly #entries = new References<SetEntryKey, SetEntry>(({ key }) => key);
  #realServers = 0;

  /**
   * Puts new wants of a Service (undefined: it is gone) in place of the old. Returns the keys whose desired value is
   * now another, wherever it comes from. Costs as much as the Service is large.
   */
  replace(name: ServiceName, wants: Wants | undefined): KeyLists {
    const before = this.#wants.get(name) ?? NOTHING;
    const after = wants ?? NOTHING;
    const rivals = this.#rivals(name, before, after);
    const theirs = rivals.map((rival) => this.#entriesOf(rival));
    const own = this.#entriesOf(name);
    const servers = this.#replaceServers(name, before.servers, after.servers);
    if (wants === undefined) this.#wants.delete(name);
    else this.#wants.set(name, wants);
    const changed = this.#entries.replace(own, this.#entriesOf(name));
    const others = rivals.flatMap((rival, at) => this.#entries.replace(theirs[at] ?? [], this.#entriesOf(rival)));
    return {
      servers,
      addresses: this.#addresses.replace(before.addresses, after.addresses),
      entries: others.length === 0 ? changed : changedOnce([...changed, ...others]),
    };
  }

  /** The desired virtual server with its real servers; undefined when nobody wants it. */
  server(key: VirtualServerKey): ServerState | undefined {
    const holder = this.#holders.get(key);
    return holder === undefined ? undefined : this.#stateOf(key, holder);
  }

  /** The Service that holds the virtual server. */
  owner(key: VirtualServerKey): ServiceName | undefined {
    return this.#holders.get(key);
  }

  /** The virtual servers that serve the same frontends to other clients. */
  twins(key: VirtualServerKey): readonly VirtualServerKey[] {
    const holder = this.#holders.get(key);
    const wants = holder === undefined ? undefined : this.#wants.get(holder);
    return wants === undefined ? [] : twinsOf(key, wants);
  }

  /**
   * The Services that want each of these objects, at most three of each, in the order in which the Services came; an object
   * that none wants is left out. Walks over all Services: for reports of what fails, not for every change.
   */
  servicesOf({ servers, addresses, entries }: Keys): ReadonlyMap<string, readonly ServiceName[]> {
    const found = new Map<string, readonly ServiceName[]>();
    for (const key of servers) addName(found, key, this.#holders.get(key));
    const asked = { addresses: new Set(addresses), entries: new Set(entries) };
    if (asked.addresses.size + asked.entries.size === 0) return found;
    for (const [name, wants] of this.#wants) {
      for (const address of wants.addresses) if (asked.addresses.has(address)) addName(found, address, name);
      if (!wants.entries.some(({ key }) => asked.entries.has(key))) continue;
      for (const { key } of this.#entriesOf(name)) if (asked.entries.has(key)) addName(found, key, name);
    }
    return found;
  }

  *servers(): Generator<ServerState> {
    for (const [key, holder] of this.#holders) {
      const state = this.#stateOf(key, holder);
      if (state !== undefined) yield state;
    }
  }

  /** The names of all that each Service wants, in the order in which the Services came. */
  *byService(): Generator<KeyLists> {
    for (const { servers, addresses, entries } of this.#wants.values())
      yield { servers: servers.map(({ server }) => server.key), addresses, entries: entries.map(({ key }) => key) };
  }

  hasAddress(address: IPAddress): boolean {
    return this.#addresses.get(address) !== undefined;
  }

  addresses(): Iterable<IPAddress> {
    return this.#addresses.values();
  }

  entry(key: SetEntryKey): SetEntry | undefined {
    return this.#entries.get(key);
  }

  entries(): Iterable<SetEntry> {
    return this.#entries.values();
  }

  /** Every virtual server that several Services want, sorted by key. */
  conflicts(): readonly Conflict[] {
    return [...this.#contested]
      .flatMap(([key, [holder, ...losers]]) =>
        holder === undefined ? [] : [{ key, holder: holder.name, losers: losers.map(({ name }) => name) }],
      )
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** How many objects of each kind are wanted; kept along, not counted. */
  counts(): Readonly<Record<"virtualServers" | "realServers" | "addresses" | "entries", number>> {
    return {
      virtualServers: this.#holders.size,
      realServers: this.#realServers,
      addresses: this.#addresses.size,
      entries: this.#entries.size,
    };
  }

  /** The others that want some of the virtual servers that the Service wanted or wants, each once. */
  #rivals(name: ServiceName, before: Wants, after: Wants): readonly ServiceName[] {
    if (this.#isAlone(name, before) && this.#isAlone(name, after)) return NOBODY;
    const claimants = new Set<ServiceName>();
    for (const { server } of [...before.servers, ...after.servers]) {
      const holder = this.#holders.get(server.key);
      if (holder !== undefined) claimants.add(holder);
      for (const claim of this.#contested.get(server.key) ?? []) claimants.add(claim.name);
    }
    claimants.delete(name);
    return [...claimants];
  }

  /** No other Service wants any of its virtual servers. */
  #isAlone(name: ServiceName, { servers }: Wants): boolean {
    return servers.every(
      ({ server: { key } }) =>
        (this.#holders.get(key) ?? name) === name && (this.#contested.size === 0 || !this.#contested.has(key)),
    );
  }

  #entriesOf(name: ServiceName): readonly SetEntry[] {
    return heldEntries(this.#wants.get(name) ?? NOTHING, (key) => this.#holders.get(key) === name);
  }

  #stateOf(key: VirtualServerKey, holder: ServiceName): WantedServer | undefined {
    return this.#wants.get(holder)?.servers.find(({ server }) => server.key === key);
  }

  /** Returns the keys whose desired value is now another. */
  #replaceServers(
    name: ServiceName,
    before: readonly WantedServer[],
    after: readonly WantedServer[],
  ): readonly VirtualServerKey[] {
    const changed: VirtualServerKey[] = [];
    const left = before.length === 0 ? undefined : new Map(before.map((state) => [state.server.key, state]));
    for (const state of after) {
      const { key } = state.server;
      if (this.#put(name, left?.get(key), state)) changed.push(key);
      left?.delete(key);
    }
    for (const [key, state] of left ?? []) if (this.#withdraw(name, state)) changed.push(key);
    return changed;
  }

  /** Returns whether the desired value of the key is now another. `known` is what the Service wanted of it before. */
  #put(name: ServiceName, known: WantedServer | undefined, state: WantedServer): boolean {
    const { key } = state.server;
    const held = this.server(key);
    if (known?.title !== state.title) {
      if (known !== undefined) this.#release(key, name);
      this.#claim(key, { name, title: state.title });
    }
    return this.#counts(held, this.#holders.get(key) === name ? state : this.server(key));
  }

  /** As above. */
  #withdraw(name: ServiceName, known: WantedServer): boolean {
    const { key } = known.server;
    const held = this.#holders.get(key) === name;
    this.#release(key, name);
    return held && this.#counts(known, this.server(key));
  }

  #claim(key: VirtualServerKey, claim: Claim): void {
    const holder = this.#holders.get(key);
    const held = holder === undefined ? undefined : this.#stateOf(key, holder);
    if (holder === undefined || held === undefined) {
      this.#holders.set(key, claim.name);
      return;
    }
    const claims = this.#contested.get(key) ?? [{ name: holder, title: held.title }];
    this.#contested.set(key, [...claims, claim].sort(compareClaims));
    if (compareClaims(claim, { name: holder, title: held.title }) < 0) this.#holders.set(key, claim.name);
  }

  #release(key: VirtualServerKey, name: ServiceName): void {
    const left = (this.#contested.get(key) ?? []).filter((claim) => claim.name !== name);
    const [heir] = left;
    if (heir === undefined) this.#holders.delete(key);
    else this.#holders.set(key, heir.name);
    if (left.length > 1) this.#contested.set(key, left);
    else this.#contested.delete(key);
  }

  /** Keeps the count of real servers right; returns whether the two differ. */
  #counts(old: ServerState | undefined, now: ServerState | undefined): boolean {
    this.#realServers += (now?.reals.size ?? 0) - (old?.reals.size ?? 0);
    return !sameState(old, now);
  }
}

function addName(found: Map<string, readonly ServiceName[]>, key: string, name: ServiceName | undefined): void {
  const names = found.get(key) ?? NOBODY;
  if (name !== undefined && names.length < NAMED_SERVICES && !names.includes(name)) found.set(key, [...names, name]);
}

/** What one Service loses and another gets has changed twice, and so not at all. */
function changedOnce(keys: readonly SetEntryKey[]): readonly SetEntryKey[] {
  const once = new Set<SetEntryKey>();
  for (const key of keys) if (!once.delete(key)) once.add(key);
  return [...once];
}

function sameState(a: ServerState | undefined, b: ServerState | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  // How long it drains is nothing to the kernel, but whoever removes it later must know the last word.
  const drainsAlike = a.server.drainTimeoutMs === b.server.drainTimeoutMs;
  return drainsAlike && sameVirtualServer(a.server, b.server) && a.reals.equals(b.reals);
}
