import type { ServerState } from "../kernel/kernel.ts";
import type { IPAddress } from "../model/address.ts";
import type { SetEntry, SetEntryKey } from "../model/ipset.ts";
import { sameRealServer, sameVirtualServer, type VirtualServerKey } from "../model/ipvs.ts";
import type { ServiceName } from "../model/service.ts";
import type { Keys } from "./keys.ts";
import { References } from "./references.ts";
import type { Wants } from "./wants.ts";

/** Several Services want one virtual server. The first by name has it, the others wait in order of name. */
export interface Conflict {
  readonly key: VirtualServerKey;
  readonly holder: ServiceName;
  readonly losers: readonly ServiceName[];
}

const NOTHING: Wants = { servers: new Map(), addresses: new Set(), entries: new Map() };

/**
 * What all Services together want of this node. Addresses and set members may be shared: they are wanted as long as one
 * Service wants them. A virtual server is not: who holds it follows from the names alone, never from the order of events.
 */
export class DesiredState {
  readonly #wants = new Map<ServiceName, Wants>();
  readonly #holders = new Map<VirtualServerKey, ServiceName>();
  /** All claimants, sorted, of the few keys with more than one: at 50,000 Services a list for every key would weigh. */
  readonly #contested = new Map<VirtualServerKey, readonly ServiceName[]>();
  readonly #addresses = new References<IPAddress, IPAddress>();
  readonly #entries = new References<SetEntryKey, SetEntry>();
  #realServers = 0;

  /**
   * Puts new wants of a Service (undefined: it is gone) in place of the old. Returns the keys whose desired value is
   * now another, wherever it comes from. Costs as much as the Service is large.
   */
  replace(name: ServiceName, wants: Wants | undefined): Keys {
    const before = this.#wants.get(name) ?? NOTHING;
    const after = wants ?? NOTHING;
    const servers = new Set<VirtualServerKey>();
    this.#claimServers(name, before, after, servers);
    this.#releaseServers(name, before, after, servers);
    if (wants === undefined) this.#wants.delete(name);
    else this.#wants.set(name, wants);
    return {
      servers,
      addresses: this.#addresses.replace(before.addresses, after.addresses),
      entries: this.#entries.replace(before.entries, after.entries),
    };
  }

  /** The desired virtual server with its real servers; undefined when nobody wants it. */
  server(key: VirtualServerKey): ServerState | undefined {
    const holder = this.#holders.get(key);
    return holder === undefined ? undefined : this.#wants.get(holder)?.servers.get(key);
  }

  /** The Service that holds the virtual server. */
  owner(key: VirtualServerKey): ServiceName | undefined {
    return this.#holders.get(key);
  }

  *servers(): Generator<ServerState> {
    for (const [key, holder] of this.#holders) {
      const state = this.#wants.get(holder)?.servers.get(key);
      if (state !== undefined) yield state;
    }
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
      .flatMap(([key, [holder, ...losers]]) => (holder === undefined ? [] : [{ key, holder, losers }]))
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

  #claimServers(name: ServiceName, before: Wants, after: Wants, changed: Set<VirtualServerKey>): void {
    for (const [key, state] of after.servers) {
      const held = this.server(key);
      if (!before.servers.has(key)) this.#claim(key, name);
      if (this.#holders.get(key) === name) this.#note(key, held, state, changed);
    }
  }

  #releaseServers(name: ServiceName, before: Wants, after: Wants, changed: Set<VirtualServerKey>): void {
    for (const [key, state] of before.servers) {
      if (after.servers.has(key)) continue;
      const held = this.#holders.get(key) === name;
      this.#release(key, name);
      if (held) this.#note(key, state, this.server(key), changed);
    }
  }

  #claim(key: VirtualServerKey, name: ServiceName): void {
    const holder = this.#holders.get(key);
    if (holder === undefined) {
      this.#holders.set(key, name);
      return;
    }
    this.#contested.set(key, [...(this.#contested.get(key) ?? [holder]), name].sort());
    if (name < holder) this.#holders.set(key, name);
  }

  #release(key: VirtualServerKey, name: ServiceName): void {
    const left = (this.#contested.get(key) ?? []).filter((claimant) => claimant !== name);
    const [heir] = left;
    if (heir === undefined) this.#holders.delete(key);
    else this.#holders.set(key, heir);
    if (left.length > 1) this.#contested.set(key, left);
    else this.#contested.delete(key);
  }

  #note(
    key: VirtualServerKey,
    old: ServerState | undefined,
    now: ServerState | undefined,
    changed: Set<VirtualServerKey>,
  ): void {
    this.#realServers += (now?.reals.size ?? 0) - (old?.reals.size ?? 0);
    if (!sameState(old, now)) changed.add(key);
  }
}

function sameState(a: ServerState | undefined, b: ServerState | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return sameVirtualServer(a.server, b.server) && sameReals(a.reals, b.reals);
}

function sameReals(a: ServerState["reals"], b: ServerState["reals"]): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, real] of a) {
    const other = b.get(key);
    if (other === undefined || !sameRealServer(real, other)) return false;
  }
  return true;
}
