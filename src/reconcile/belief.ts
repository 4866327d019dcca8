import type { Kernel, Observed } from "../kernel/kernel.ts";
import type { VirtualServerKey } from "../model/ipvs.ts";
import { countPresence, countServerDrift, type DriftCounts } from "./drift.ts";
import { HeldState } from "./held-state.ts";
import { KeySet, type ObjectKey, type ObjectName } from "./key-set.ts";
import { eachInSlices, keysOfBoth } from "./slices.ts";

/** What was read of the whole kernel, to be believed at a moment when nothing is being written. */
export interface Reading {
  readonly held: HeldState;
  readonly unnamedServers: number;
  /** What was touched since the reading began. */
  readonly touched: KeySet;
  /** As it was when the reading began. */
  readonly trust: number;
}

/**
 * What we believe the kernel holds, and how far. It is
 * - *unknown* at first, after the transport was lost (`lose`), and after an answer about an address or a set member
 *   contradicted us (`doubtAll`): only `read` and `believe` help;
 * - *doubted* in single virtual servers after an answer about them contradicted us (`doubt`): `observeDoubted` helps;
 * - *believed* otherwise.
 */
export class Belief {
  readonly #kernel: Kernel;
  readonly #prepare: () => Promise<void>;
  readonly #nextTurn: () => Promise<void>;
  readonly #doubted = new Set<VirtualServerKey>();
  #held = new HeldState();
  #unnamedServers = 0;
  #known = false;
  #seen = false;
  #lost = false;
  /** How often everything was doubted. */
  #trust = 0;
  #reading: Pick<Reading, "touched"> | undefined;

  constructor(kernel: Kernel, prepare: () => Promise<void>, nextTurn: () => Promise<void>) {
    this.#kernel = kernel;
    this.#prepare = prepare;
    this.#nextTurn = nextTurn;
  }

  /** Another object after every `believe`. */
  get held(): HeldState {
    return this.#held;
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
    this.touch([{ kind: "server", key }]);
  }

  doubtAll(): void {
    this.#known = false;
    this.#trust++;
    this.#reading = undefined;
  }

  /** Operations were on their way, and nobody can say which of them were done. */
  lose(): void {
    this.doubtAll();
    this.#lost = true;
  }

  /**
   * Makes the node ready, reads the whole kernel and counts how it differs from what is believed. That takes a while, in
   * which others may go on: what they `touch` is not counted, and after a loss neither is what `isPending`, since we may
   * have changed it ourselves.
   */
  async read(drift: DriftCounts, isPending: (key: ObjectKey) => boolean): Promise<Reading> {
    const touched = new KeySet();
    const reading = { trust: this.#trust, touched };
    this.#reading = reading;
    await this.#prepare();
    const observed = await this.#kernel.observe("all");
    const held = await this.#build(observed);
    const isSure = this.#lost ? (key: ObjectKey) => !isPending(key) : () => true;
    if (this.#seen) await this.#countDrift(held, drift, (name) => !touched.has(name) && isSure(name.key));
    return { ...reading, held, unnamedServers: observed.unnamedServers };
  }

  /**
   * From now on what was read is believed, but for what was touched meanwhile: of that we know better. False when
   * something happened meanwhile after which nothing is known: then only another reading helps.
   */
  believe({ held, touched, trust, unnamedServers }: Reading): boolean {
    this.#reading = undefined;
    if (trust !== this.#trust) return false;
    held.adopt(this.#held, touched);
    this.#held = held;
    this.#unnamedServers = unnamedServers;
    for (const key of [...this.#doubted]) if (!touched.servers.has(key)) this.#doubted.delete(key);
    this.#seen = true;
    this.#known = true;
    this.#lost = false;
    return true;
  }

  /** These objects are about to be written to, or were just looked at: what is being read of them may be older. */
  touch(names: Iterable<ObjectName>): void {
    for (const name of names) this.#reading?.touched.add(name);
  }

  /** Observes the doubted virtual servers, believes what is seen and counts the drift. */
  async observeDoubted(drift: DriftCounts): Promise<void> {
    this.touch(Array.from(this.#doubted, (key) => ({ kind: "server", key })));
    const observed = await this.#kernel.observe(this.#doubted);
    for (const key of this.#doubted) {
      const seen = observed.servers.get(key);
      countServerDrift(this.#held.server(key), seen, drift);
      this.#held.believeServer(key, seen);
    }
    this.#doubted.clear();
  }

  async #build(observed: Observed): Promise<HeldState> {
    const held = new HeldState();
    await this.#each(observed.servers, ([key, state]) => held.believeServer(key, state));
    await this.#each(observed.addresses, (address) => held.believeAddress(address));
    await this.#each(observed.entries.values(), (entry) => held.believeEntry(entry));
    return held;
  }

  async #countDrift(seen: HeldState, drift: DriftCounts, isSure: (name: ObjectName) => boolean): Promise<void> {
    const believed = this.#held;
    await this.#each(
      keysOfBoth(believed.servers(), seen.servers(), ({ server }) => server.key),
      (key) => {
        if (isSure({ kind: "server", key })) countServerDrift(believed.server(key), seen.server(key), drift);
      },
    );
    await this.#each(
      keysOfBoth(believed.addresses(), seen.addresses(), (address) => address),
      (key) => {
        if (isSure({ kind: "address", key }))
          countPresence("address", believed.hasAddress(key), seen.hasAddress(key), drift);
      },
    );
    await this.#each(
      keysOfBoth(believed.entries(), seen.entries(), (entry) => entry.key),
      (key) => {
        if (isSure({ kind: "entry", key })) countPresence("entry", believed.hasEntry(key), seen.hasEntry(key), drift);
      },
    );
  }

  #each<Item>(items: Iterable<Item>, visit: (item: Item) => void): Promise<void> {
    return eachInSlices(items, this.#nextTurn, visit);
  }
}
