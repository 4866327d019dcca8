import type { Kernel, Observed } from "../../kernel/kernel.ts";
import type { IPAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";
import { sameVirtualServer, type VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { KeySet, type ObjectKey, type ObjectName, subjectOf } from "../../model/kernel/keys.ts";
import type { Operation } from "../../model/kernel/operation.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { countPresence, countServerDrift, type DriftCounts } from "../operation-counts.ts";
import { ActualState } from "./actual-state.ts";
import { inSlices } from "./comparison.ts";

export interface ActualStateReaderDependencies {
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
  readonly invalidations: number;
  /** What was touched since the reading began. */
  readonly touched: KeySet;
  /** What it has shown. */
  readonly present: KeySet;
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
export class ActualStateReader {
  readonly actual = new ActualState();
  readonly #dependencies: ActualStateReaderDependencies;
  readonly #invalidated = new Set<VirtualServerKey>();
  #unnamedServers = 0;
  #known = false;
  #wasRead = false;
  #lost = false;
  /** How often everything was doubted. */
  #invalidations = 0;
  #reading: Reading | undefined;

  constructor(dependencies: ActualStateReaderDependencies) {
    this.#dependencies = dependencies;
  }

  /** Virtual servers that no key can name. */
  get unnamedServers(): number {
    return this.#unnamedServers;
  }

  get isKnown(): boolean {
    return this.#known;
  }

  get invalidated(): ReadonlySet<VirtualServerKey> {
    return this.#invalidated;
  }

  /** Nothing was ever seen. */
  get wasNeverRead(): boolean {
    return !this.#wasRead;
  }

  invalidate(key: VirtualServerKey): void {
    this.#invalidated.add(key);
    this.#reading?.touched.servers.add(key);
  }

  invalidateAll(): void {
    this.#known = false;
    this.#invalidations++;
  }

  /** Operations were on their way, and nobody can say which of them were done. */
  invalidateAfterLoss(): void {
    this.invalidateAll();
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
        await betweenSyncs(() => this.#update(part, reading));
      }
      await this.#removeMissing(reading);
      await betweenSyncs(() => this.#finish(reading, unnamedServers));
    } finally {
      this.#reading = undefined;
    }
  }

  /** Observes the doubted virtual servers, believes what is seen and counts the drift. */
  async observeInvalidated(drift: DriftCounts): Promise<void> {
    // What is being read of them may be older.
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
    for (const address of addresses) this.#updateAddress(address, reading);
    for (const entry of entries.values()) this.#updateEntry(entry, reading);
  }

  /** What is as it was believed stays the same object, whose memory is shared with what is wanted. */
  #updateServer(state: ServerState, { touched, present, drift, isDrift }: Reading): void {
    const { key } = state.server;
    const actual = this.actual.server(key);
    present.servers.add(actual?.server.key ?? key);
    if (touched.servers.has(key) || (actual !== undefined && isSame(actual, state))) return;
    if (isDrift(key)) countServerDrift(actual, state, drift);
    this.actual.setServer(key, state);
  }

  #updateAddress(address: IPAddress, { touched, present, drift, isDrift }: Reading): void {
    present.addresses.add(address);
    if (touched.addresses.has(address) || this.actual.hasAddress(address)) return;
    if (isDrift(address)) countPresence("address", false, true, drift);
    this.actual.setAddress(address, true);
  }

  #updateEntry(entry: SetEntry, { touched, present, drift, isDrift }: Reading): void {
    const actual = this.actual.entry(entry.key);
    present.entries.add(actual?.key ?? entry.key);
    if (touched.entries.has(entry.key) || actual !== undefined) return;
    if (isDrift(entry.key)) countPresence("entry", false, true, drift);
    this.actual.setEntry(entry, true);
  }

  /** What was believed and not shown is not there; a virtual server only if the kernel says so when asked for it by name. */
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
    this.actual.setAddress(key, false);
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
