import type { Kernel, Observed } from "../kernel/kernel.ts";
import type { VirtualServerKey } from "../model/ipvs.ts";
import { countPresence, countServerDrift, type DriftCounts } from "./drift.ts";
import { HeldState } from "./held-state.ts";
import type { ObjectKey } from "./key-set.ts";
import { eachInSlices, keysOfBoth } from "./slices.ts";

/**
 * What we believe the kernel holds, and how far. It is
 * - *unknown* at first, after the transport was lost (`lose`), and after an answer about an address or a set member
 *   contradicted us (`doubtAll`): only `see` helps;
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

  constructor(kernel: Kernel, prepare: () => Promise<void>, nextTurn: () => Promise<void>) {
    this.#kernel = kernel;
    this.#prepare = prepare;
    this.#nextTurn = nextTurn;
  }

  /** Another object after every `see`. */
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
  }

  doubtAll(): void {
    this.#known = false;
  }

  /** Operations were on their way, and nobody can say which of them were done. */
  lose(): void {
    this.#known = false;
    this.#lost = true;
  }

  /**
   * Makes the node ready, reads the whole kernel, believes it, and counts how it differs from what was believed. After a
   * loss, objects that are `pending` are not counted: we may have changed them ourselves.
   */
  async see(drift: DriftCounts, isPending: (key: ObjectKey) => boolean): Promise<void> {
    await this.#prepare();
    const observed = await this.#kernel.observe("all");
    const held = await this.#build(observed);
    const isSure = this.#lost ? (key: ObjectKey) => !isPending(key) : () => true;
    if (this.#seen) await this.#countDrift(held, drift, isSure);
    this.#held = held;
    this.#unnamedServers = observed.unnamedServers;
    this.#doubted.clear();
    this.#seen = true;
    this.#known = true;
    this.#lost = false;
  }

  /** Observes the doubted virtual servers, believes what is seen and counts the drift. */
  async observeDoubted(drift: DriftCounts): Promise<void> {
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

  async #countDrift(seen: HeldState, drift: DriftCounts, isSure: (key: ObjectKey) => boolean): Promise<void> {
    const believed = this.#held;
    await this.#each(
      keysOfBoth(believed.servers(), seen.servers(), ({ server }) => server.key),
      (key) => {
        if (isSure(key)) countServerDrift(believed.server(key), seen.server(key), drift);
      },
    );
    await this.#each(
      keysOfBoth(believed.addresses(), seen.addresses(), (address) => address),
      (key) => {
        if (isSure(key)) countPresence("address", believed.hasAddress(key), seen.hasAddress(key), drift);
      },
    );
    await this.#each(
      keysOfBoth(believed.entries(), seen.entries(), (entry) => entry.key),
      (key) => {
        if (isSure(key)) countPresence("entry", believed.hasEntry(key), seen.hasEntry(key), drift);
      },
    );
  }

  #each<Item>(items: Iterable<Item>, visit: (item: Item) => void): Promise<void> {
    return eachInSlices(items, this.#nextTurn, visit);
  }
}
