import type { PortKey, ServiceName } from "../model/cluster/service.ts";
import { fnv1a } from "../model/fnv.ts";

/** A port of a Service that wants a mark. */
export interface Claimant {
  readonly service: ServiceName;
  readonly port: PortKey;
  /** Its place among the ports of its Service that want marks, from 0. */
  readonly rank: number;
  readonly name: string;
  /** The first place that it looks at. */
  readonly home: number;
}

/** The claimant for a port, where there are `places` marks. */
export function claimantOf(service: ServiceName, port: PortKey, rank: number, places: number): Claimant {
  // The space is in neither.
  const name = `${service} ${port}`;
  return { service, port, rank, name, home: fnv1a(name) % places };
}

/** Whether `a` may choose a mark before `b`. */
export function isBefore(a: Claimant, b: Claimant): boolean {
  return a.rank === b.rank ? a.name < b.name : a.rank < b.rank;
}

/**
 * Claimants that have no mark, of which the first is found at once: a cluster may have 50,000 of them, and one that comes
 * or goes takes some 16 comparisons (a binary heap).
 */
export class WaitingClaimants {
  readonly #members = new Set<Claimant>();
  /** None comes before the one at half its index. Those that were deleted stay in it for a while; index 0 is not used. */
  #heap: (Claimant | undefined)[] = [undefined];

  /** The first of all; undefined when there is none. */
  first(): Claimant | undefined {
    for (;;) {
      const top = this.#heap[1];
      if (top === undefined || this.#members.has(top)) return top;
      this.#dropTop();
    }
  }

  /** Adds a claimant that is not in it. */
  add(claimant: Claimant): void {
    this.#members.add(claimant);
    this.#rise(this.#heap.push(claimant) - 1);
  }

  /** Takes the claimant out, if it is in it. */
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

  /** Nothing beyond the end comes before anything. */
  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]];
    return a !== undefined && (b === undefined || isBefore(a, b));
  }

  #swap(one: number, other: number): void {
    [this.#heap[one], this.#heap[other]] = [this.#heap[other], this.#heap[one]];
  }
}
