import type { Kernel, Observed } from "../../kernel/kernel.ts";
import type { IPAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";
import { sameVirtualServer, type VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { KeySet, type ObjectKey, type ObjectName, subjectOf } from "../../model/kernel/keys.ts";
import type { Operation } from "../../model/kernel/operation.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import type { VipBindings } from "../../model/vip-binding.ts";
import { countPresence, countServerDrift, type DriftCounts } from "../operation-counts.ts";
import { ActualState } from "./actual-state.ts";
import { inSlices } from "./comparison.ts";

export interface ActualStateReaderDependencies {
  readonly kernel: Kernel;
  /** Prepares the node; the first step of every read. */
  readonly prepare: () => Promise<void>;
  readonly nextTurn: () => Promise<void>;
}

/** Calls `act`, which is synchronous, at a moment when no sync is running. */
export type BetweenSyncs = <Result>(act: () => Result) => Promise<Result>;

/** A read of the whole kernel that is in progress. */
interface Reading {
  readonly betweenSyncs: BetweenSyncs;
  /** The number of invalidations when the read began. */
  readonly invalidations: number;
  /** The objects that were touched since the read began. */
  readonly touched: KeySet;
  /** The objects that the read has found. */
  readonly present: KeySet;
  readonly drift: DriftCounts;
  /** Whether a difference of this object was made by another process. */
  readonly isDrift: (key: ObjectKey) => boolean;
}

/**
 * Reads the kernel into the actual state, and tracks how far the actual state is valid. It is
 * - *unknown* at first, after the connection to the kernel was lost (`invalidateAfterLoss`), and after the kernel's answer
 *   about an address or a set member contradicted it (`invalidateAll`): `read` makes it valid again;
 * - *invalid* for single virtual servers after the kernel's answer about them contradicted it (`invalidate`):
 *   `observeInvalidated` reads these alone;
 * - *valid* otherwise.
 */
export class ActualStateReader {
  readonly actual = new ActualState();
  readonly #dependencies: ActualStateReaderDependencies;
  readonly #invalidated = new Set<VirtualServerKey>();
  #unnamedServers = 0;
  #known = false;
  #wasRead = false;
  #lost = false;
  /** How often the whole state was invalidated. */
  #invalidations = 0;
  #reading: Reading | undefined;

  constructor(dependencies: ActualStateReaderDependencies) {
    this.#dependencies = dependencies;
  }

  /** The number of virtual servers for which there is no key. */
  get unnamedServers(): number {
    return this.#unnamedServers;
  }

  /** Whether the kernel was read since the whole state was invalidated last. */
  get isKnown(): boolean {
    return this.#known;
  }

  /** The virtual servers that must be read again. */
  get invalidated(): ReadonlySet<VirtualServerKey> {
    return this.#invalidated;
  }

  /** Whether no read was ever completed. */
  get wasNeverRead(): boolean {
    return !this.#wasRead;
  }

  /** The actual state of the virtual server is wrong. */
  invalidate(key: VirtualServerKey): void {
    this.#invalidated.add(key);
    this.#reading?.touched.servers.add(key);
  }

  /** Any part of the actual state may be wrong. */
  invalidateAll(): void {
    this.#known = false;
    this.#invalidations++;
  }

  /** Operations were sent whose results are unknown. */
  invalidateAfterLoss(): void {
    this.invalidateAll();
    this.#lost = true;
  }

  /** These objects are about to be changed: the state that a read in progress returns for them may be older. */
  touch(operations: readonly Operation[]): void {
    const touched = this.#reading?.touched;
    if (touched !== undefined) for (const operation of operations) touched.add(subjectOf(operation));
  }

  /** Prepares the node. */
  prepare(): Promise<void> {
    return this.#dependencies.prepare();
  }

  /**
   * Prepares the node, reads the whole kernel part by part, stores each part in the actual state, and counts the
   * differences as drift. Syncs may run between two parts: objects that they `touch` are left out, because the actual state
   * of these is newer. After a loss, differences of `pending` objects are not counted, because the agent itself may have made
   * them. One read at a time.
   *
   * Afterwards the state is known, unless it was invalidated during the read: then another read is needed.
   */
  async read(betweenSyncs: BetweenSyncs, drift: DriftCounts, isPending: (key: ObjectKey) => boolean): Promise<void> {
    const { kernel, prepare } = this.#dependencies;
    // Objects of a sync that is running already would be missing from `touched`.
    const reading = await betweenSyncs(() => this.#begin(betweenSyncs, drift, isPending));
    try {
      await prepare();
      let unnamedServers = 0;
      for await (const part of kernel.parts()) {
        unnamedServers += part.unnamedServers;
        await betweenSyncs(() => this.#update(part, reading));
      }
      await this.#removeMissing(reading);
      await betweenSyncs(() => this.#finish(reading, unnamedServers));
    } finally {
      this.#reading = undefined;
    }
  }

  /** Reads the invalidated virtual servers into the actual state, and counts the drift. */
  async observeInvalidated(drift: DriftCounts): Promise<void> {
    // The state that a read in progress returns for them may be older.
    for (const key of this.#invalidated) this.#reading?.touched.servers.add(key);
    const observed = await this.#dependencies.kernel.observe(this.#invalidated);
    for (const key of this.#invalidated) {
      const seen = observed.servers.get(key);
      countServerDrift(this.actual.server(key), seen, drift);
      this.actual.setServer(key, seen);
    }
    this.#invalidated.clear();
  }

  #begin(betweenSyncs: BetweenSyncs, drift: DriftCounts, isPending: (key: ObjectKey) => boolean): Reading {
    const [seen, lost] = [this.#wasRead, this.#lost];
    const isDrift = (key: ObjectKey) => seen && !(lost && isPending(key));
    const nothing = { touched: new KeySet(), present: new KeySet() };
    this.#reading = { betweenSyncs, invalidations: this.#invalidations, ...nothing, drift, isDrift };
    return this.#reading;
  }

  #update({ servers, addresses, entries }: Observed, reading: Reading): void {
    for (const state of servers.values()) this.#updateServer(state, reading);
    for (const [address, bindings] of addresses) this.#updateAddress(address, bindings, reading);
    for (const entry of entries.values()) this.#updateEntry(entry, reading);
  }

  /** An equal state keeps its object, which shares its memory with the desired state. */
  #updateServer(state: ServerState, { touched, present, drift, isDrift }: Reading): void {
    const { key } = state.server;
    const actual = this.actual.server(key);
    present.servers.add(actual?.server.key ?? key);
    if (touched.servers.has(key) || (actual !== undefined && isSame(actual, state))) return;
    if (isDrift(key)) countServerDrift(actual, state, drift);
    this.actual.setServer(key, state);
  }

  #updateAddress(address: IPAddress, bindings: VipBindings, { touched, present, drift, isDrift }: Reading): void {
    present.addresses.add(address);
    const actual = this.actual.bindings(address);
    if (touched.addresses.has(address) || actual === bindings) return;
    if (isDrift(address)) drift.add("address", actual === undefined ? "unwanted" : "different");
    this.actual.setAddress(address, bindings);
  }

  #updateEntry(entry: SetEntry, { touched, present, drift, isDrift }: Reading): void {
    const actual = this.actual.entry(entry.key);
    present.entries.add(actual?.key ?? entry.key);
    if (touched.entries.has(entry.key) || actual !== undefined) return;
    if (isDrift(entry.key)) countPresence("entry", false, true, drift);
    this.actual.setEntry(entry, true);
  }

  /**
   * Removes the objects that the read did not find. A virtual server is removed only if a request for it alone does not find
   * it either: a dump may pass over an entry while another one is deleted.
   */
  async #removeMissing(reading: Reading): Promise<void> {
    const { kernel, nextTurn } = this.#dependencies;
    const { betweenSyncs } = reading;
    for await (const slice of inSlices(this.actual.servers(), nextTurn)) {
      const keys = slice.map(({ server }) => server.key);
      const missed = new Set(keys.filter((key) => isMissing({ kind: "server", key }, reading)));
      if (missed.size === 0) continue;
      const { servers } = await kernel.observe(missed);
      await betweenSyncs(() => {
        for (const key of missed) this.#removeMissingServer(key, servers.get(key), reading);
      });
    }
    for await (const slice of inSlices(this.actual.addresses(), nextTurn))
      await betweenSyncs(() => {
        for (const key of slice) this.#removeMissingAddress(key, reading);
      });
    for await (const slice of inSlices(this.actual.entries(), nextTurn))
      await betweenSyncs(() => {
        for (const entry of slice) this.#removeMissingEntry(entry, reading);
      });
  }

  #removeMissingServer(key: VirtualServerKey, found: ServerState | undefined, reading: Reading): void {
    if (!isMissing({ kind: "server", key }, reading)) return;
    if (found !== undefined) {
      this.#updateServer(found, reading);
      return;
    }
    if (reading.isDrift(key)) countPresence("virtual-server", true, false, reading.drift);
    this.actual.setServer(key, undefined);
  }

  #removeMissingAddress(key: IPAddress, reading: Reading): void {
    if (!isMissing({ kind: "address", key }, reading)) return;
    if (reading.isDrift(key)) countPresence("address", true, false, reading.drift);
    this.actual.setAddress(key, undefined);
  }

  #removeMissingEntry(entry: SetEntry, reading: Reading): void {
    const { key } = entry;
    if (!isMissing({ kind: "entry", key }, reading)) return;
    if (reading.isDrift(key)) countPresence("entry", true, false, reading.drift);
    this.actual.setEntry(entry, false);
  }

  #finish({ invalidations: trust, touched }: Reading, unnamedServers: number): void {
    if (trust !== this.#invalidations) return;
    this.#unnamedServers = unnamedServers;
    for (const key of [...this.#invalidated]) if (!touched.servers.has(key)) this.#invalidated.delete(key);
    this.#wasRead = true;
    this.#known = true;
    this.#lost = false;
  }
}

function isMissing(name: ObjectName, { present, touched }: Reading): boolean {
  return !present.has(name) && !touched.has(name);
}

function isSame(a: ServerState, b: ServerState): boolean {
  return sameVirtualServer(a.server, b.server) && a.reals.equals(b.reals);
}
