import type { Kernel, Observed } from "../../kernel/kernel.ts";
import type { IPAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";
import { sameVirtualServer, type VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { KeySet, type ObjectKey, type ObjectName, subjectOf } from "../../model/kernel/keys.ts";
import type { Operation } from "../../model/kernel/operation.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { countPresence, countServerDrift, type DriftCounts } from "../counts.ts";
import { inSlices } from "./comparison.ts";
import { HeldState } from "./held-state.ts";

export interface BeliefDependencies {
  readonly kernel: Kernel;
  /** Makes the node ready; part of every reading. */
  readonly prepare: () => Promise<void>;
  readonly nextTurn: () => Promise<void>;
}

/** Calls `act`, which is synchronous, at a moment when no sync is running. */
export type BetweenSyncs = <Result>(act: () => Result) => Promise<Result>;

/** One reading of the whole kernel, while it goes on. */
interface Reading {
  readonly betweenSyncs: BetweenSyncs;
  /** As it was when the reading began. */
  readonly trust: number;
  /** What was touched since the reading began. */
  readonly touched: KeySet;
  /** What it has shown. */
  readonly seen: KeySet;
  readonly drift: DriftCounts;
  /** Whether a difference of this object is one that others have made. */
  readonly isDrift: (key: ObjectKey) => boolean;
}

/**
 * What we believe the kernel holds, and how far. It is
 * - *unknown* at first, after the transport was lost (`lose`), and after an answer about an address or a set member
 *   contradicted us (`doubtAll`): only `read` helps;
 * - *doubted* in single virtual servers after an answer about them contradicted us (`doubt`): `observeDoubted` helps;
 * - *believed* otherwise.
 */
export class Belief {
  readonly held = new HeldState();
  readonly #dependencies: BeliefDependencies;
  readonly #doubted = new Set<VirtualServerKey>();
  #unnamedServers = 0;
  #known = false;
  #seen = false;
  #lost = false;
  /** How often everything was doubted. */
  #trust = 0;
  #reading: Reading | undefined;

  constructor(dependencies: BeliefDependencies) {
    this.#dependencies = dependencies;
  }

  /** Virtual servers that no key can name. */
  get unnamedServers(): number {
    return this.#unnamedServers;
  }

  get isKnown(): boolean {
    return this.#known;
  }

  get doubted(): ReadonlySet<VirtualServerKey> {
    return this.#doubted;
  }

  /** Nothing was ever seen. */
  get isBlank(): boolean {
    return !this.#seen;
  }

  doubt(key: VirtualServerKey): void {
    this.#doubted.add(key);
    this.#reading?.touched.servers.add(key);
  }

  doubtAll(): void {
    this.#known = false;
    this.#trust++;
  }

  /** Operations were on their way, and nobody can say which of them were done. */
  lose(): void {
    this.doubtAll();
    this.#lost = true;
  }

  /** These objects are about to be written to: what is being read of them may be older. */
  touch(operations: readonly Operation[]): void {
    const touched = this.#reading?.touched;
    if (touched !== undefined) for (const operation of operations) touched.add(subjectOf(operation));
  }

  /**
   * Makes the node ready, reads the whole kernel, believes each part as it comes and counts how it differs from what was
   * believed. That takes a while, in which others may go on: what they `touch` is left out, for of that we know better. After a
   * loss, objects that are `pending` are believed, but not counted: we may have changed them ourselves. One at a time.
   *
   * Afterwards all is known, unless something happened meanwhile after which nothing is: then only another reading helps.
   */
  async read(betweenSyncs: BetweenSyncs, drift: DriftCounts, isPending: (key: ObjectKey) => boolean): Promise<void> {
    const { kernel, prepare } = this.#dependencies;
    // What is being written already would not be known as touched.
    const reading = await betweenSyncs(() => this.#begin(betweenSyncs, drift, isPending));
    try {
      await prepare();
      let unnamedServers = 0;
      for await (const part of kernel.parts()) {
        unnamedServers += part.unnamedServers;
        await betweenSyncs(() => this.#believe(part, reading));
      }
      await this.#disbelieve(reading);
      await betweenSyncs(() => this.#conclude(reading, unnamedServers));
    } finally {
      this.#reading = undefined;
    }
  }

  /** Observes the doubted virtual servers, believes what is seen and counts the drift. */
  async observeDoubted(drift: DriftCounts): Promise<void> {
    // What is being read of them may be older.
    for (const key of this.#doubted) this.#reading?.touched.servers.add(key);
    const observed = await this.#dependencies.kernel.observe(this.#doubted);
    for (const key of this.#doubted) {
      const seen = observed.servers.get(key);
      countServerDrift(this.held.server(key), seen, drift);
      this.held.believeServer(key, seen);
    }
    this.#doubted.clear();
  }

  #begin(betweenSyncs: BetweenSyncs, drift: DriftCounts, isPending: (key: ObjectKey) => boolean): Reading {
    const [seen, lost] = [this.#seen, this.#lost];
    const isDrift = (key: ObjectKey) => seen && !(lost && isPending(key));
    const nothing = { touched: new KeySet(), seen: new KeySet() };
    this.#reading = { betweenSyncs, trust: this.#trust, ...nothing, drift, isDrift };
    return this.#reading;
  }

  #believe({ servers, addresses, entries }: Observed, reading: Reading): void {
    for (const state of servers.values()) this.#believeServer(state, reading);
    for (const address of addresses) this.#believeAddress(address, reading);
    for (const entry of entries.values()) this.#believeEntry(entry, reading);
  }

  /** What is as it was believed stays the same object, whose memory is shared with what is wanted. */
  #believeServer(state: ServerState, { touched, seen, drift, isDrift }: Reading): void {
    const { key } = state.server;
    const held = this.held.server(key);
    seen.servers.add(held?.server.key ?? key);
    if (touched.servers.has(key) || (held !== undefined && isSame(held, state))) return;
    if (isDrift(key)) countServerDrift(held, state, drift);
    this.held.believeServer(key, state);
  }

  #believeAddress(address: IPAddress, { touched, seen, drift, isDrift }: Reading): void {
    seen.addresses.add(address);
    if (touched.addresses.has(address) || this.held.hasAddress(address)) return;
    if (isDrift(address)) countPresence("address", false, true, drift);
    this.held.believeAddress(address, true);
  }

  #believeEntry(entry: SetEntry, { touched, seen, drift, isDrift }: Reading): void {
    const held = this.held.entry(entry.key);
    seen.entries.add(held?.key ?? entry.key);
    if (touched.entries.has(entry.key) || held !== undefined) return;
    if (isDrift(entry.key)) countPresence("entry", false, true, drift);
    this.held.believeEntry(entry, true);
  }

  /** What was believed and not shown is not there; a virtual server only if the kernel says so when asked for it by name. */
  async #disbelieve(reading: Reading): Promise<void> {
    const { kernel, nextTurn } = this.#dependencies;
    const { betweenSyncs } = reading;
    for await (const slice of inSlices(this.held.servers(), nextTurn)) {
      const keys = slice.map(({ server }) => server.key);
      const missed = new Set(keys.filter((key) => isMissed({ kind: "server", key }, reading)));
      if (missed.size === 0) continue;
      const { servers } = await kernel.observe(missed);
      await betweenSyncs(() => {
        for (const key of missed) this.#disbelieveServer(key, servers.get(key), reading);
      });
    }
    for await (const slice of inSlices(this.held.addresses(), nextTurn))
      await betweenSyncs(() => {
        for (const key of slice) this.#disbelieveAddress(key, reading);
      });
    for await (const slice of inSlices(this.held.entries(), nextTurn))
      await betweenSyncs(() => {
        for (const entry of slice) this.#disbelieveEntry(entry, reading);
      });
  }

  #disbelieveServer(key: VirtualServerKey, found: ServerState | undefined, reading: Reading): void {
    if (!isMissed({ kind: "server", key }, reading)) return;
    if (found !== undefined) {
      this.#believeServer(found, reading);
      return;
    }
    if (reading.isDrift(key)) countPresence("virtual-server", true, false, reading.drift);
    this.held.believeServer(key, undefined);
  }

  #disbelieveAddress(key: IPAddress, reading: Reading): void {
    if (!isMissed({ kind: "address", key }, reading)) return;
    if (reading.isDrift(key)) countPresence("address", true, false, reading.drift);
    this.held.believeAddress(key, false);
  }

  #disbelieveEntry(entry: SetEntry, reading: Reading): void {
    const { key } = entry;
    if (!isMissed({ kind: "entry", key }, reading)) return;
    if (reading.isDrift(key)) countPresence("entry", true, false, reading.drift);
    this.held.believeEntry(entry, false);
  }

  #conclude({ trust, touched }: Reading, unnamedServers: number): void {
    if (trust !== this.#trust) return;
    this.#unnamedServers = unnamedServers;
    for (const key of [...this.#doubted]) if (!touched.servers.has(key)) this.#doubted.delete(key);
    this.#seen = true;
    this.#known = true;
    this.#lost = false;
  }
}

function isMissed(name: ObjectName, { seen, touched }: Reading): boolean {
  return !seen.has(name) && !touched.has(name);
}

function isSame(a: ServerState, b: ServerState): boolean {
  return sameVirtualServer(a.server, b.server) && a.reals.equals(b.reals);
}
