import type { PortKey, ServiceName } from "../model/cluster/service.ts";
import { fnv1a } from "../model/fnv.ts";

/** A port of a Service that needs a mark. */
export interface Claimant {
  readonly service: ServiceName;
  readonly port: PortKey;
  /** The index among the ports of its Service that need marks, from 0. */
  readonly rank: number;
  readonly name: string;
  /** The first place that the port probes. */
  readonly home: number;
}

/** Returns the claimant for a port. `places` is the number of marks. */
export function claimantOf(service: ServiceName, port: PortKey, rank: number, places: number): Claimant {
  // Neither part contains a space.
  const name = `${service} ${port}`;
  return { service, port, rank, name, home: fnv1a(name) % places };
}

/** Whether `a` is allocated a mark before `b`. */
export function isBefore(a: Claimant, b: Claimant): boolean {
  return a.rank === b.rank ? a.name < b.name : a.rank < b.rank;
}

/**
 * The claimants without a mark, as a binary heap. There may be 50,000: the first is found at once, and adding or
 * removing one takes about 16 comparisons.
 */
export class WaitingClaimants {
  readonly #members = new Set<Claimant>();
  /**
   * No element comes before the element at half its index. Deleted elements stay in the heap for a while. Index 0 is
   * not used.
   */
  #heap: (Claimant | undefined)[] = [undefined];

  /** The first claimant; undefined if there is none. */
  first(): Claimant | undefined {
    for (;;) {
      const top = this.#heap[1];
      if (top === undefined || this.#members.has(top)) return top;
      this.#dropTop();
    }
  }

  /** Adds a claimant that is not in the heap. */
  add(claimant: Claimant): void {
    this.#members.add(claimant);
    this.#rise(this.#heap.push(claimant) - 1);
  }

  /** Removes the claimant, if present. */
  delete(claimant: Claimant): void {
    if (!this.#members.delete(claimant)) return;
    if (this.#heap.length <= 2 * this.#members.size + 16) return;
    // A sorted list is a heap.
    this.#heap = [undefined, ...[...this.#members].sort((a, b) => (isBefore(a, b) ? -1 : 1))];
  }

  #dropTop(): void {
    const last = this.#heap.pop();
    if (this.#heap.length === 1) return;
    this.#heap[1] = last;
    this.#sink();
  }

  #rise(start: number): void {
    for (let at = start, above = at >> 1; above > 0 && this.#isBefore(at, above); at = above, above >>= 1) {
      this.#swap(at, above);
    }
  }

  #sink(): void {
    for (let at = 1; ; ) {
      const left = 2 * at;
      const below = this.#isBefore(left + 1, left) ? left + 1 : left;
      if (!this.#isBefore(below, at)) return;
      this.#swap(at, below);
      at = below;
    }
  }

  /** An index beyond the end comes after every element. */
  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]];
    return a !== undefined && (b === undefined || isBefore(a, b));
  }

  #swap(one: number, other: number): void {
    [this.#heap[one], this.#heap[other]] = [this.#heap[other], this.#heap[one]];
  }
}
