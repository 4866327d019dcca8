import { countOf, type Keys, type ObjectKey } from "../model/kernel/keys.ts";

/** Keys that one change touched: planned together, so that a Service is programmed whole. */
export interface ChangeSet {
  readonly keys: Keys;
  /** When it was marked. */
  readonly atMs: number;
}

/** Change sets in the order they came in. A key may be in several. */
export class ChangeQueue {
  #sets: ChangeSet[] = [];
  /** Of the front; shifting an array of 100,000 moves all of it. */
  #head = 0;
  readonly #counts = new Map<ObjectKey, number>();

  /** How many different keys wait. */
  get size(): number {
    return this.#counts.size;
  }

  /** When the first change set was marked; undefined if the queue is empty. */
  get oldestMs(): number | undefined {
    return this.#sets[this.#head]?.atMs;
  }

  has(key: ObjectKey): boolean {
    return this.#counts.has(key);
  }

  push(keys: Keys, atMs: number): void {
    if (this.#count(keys, 1)) this.#sets.push({ keys, atMs });
  }

  /** Puts work that was taken and not done at the front again, to be taken in this order. */
  putBack(parts: readonly Keys[], atMs: number): void {
    const filled = parts.filter((keys) => this.#count(keys, 1));
    this.#sets.splice(this.#head, 0, ...filled.map((keys) => ({ keys, atMs })));
  }

  /** Takes the change set at the front away. */
  shift(): ChangeSet | undefined {
    const front = this.#sets[this.#head];
    if (front === undefined) return undefined;
    this.#head++;
    if (this.#head * 2 > this.#sets.length) {
      this.#sets = this.#sets.slice(this.#head);
      this.#head = 0;
    }
    this.#count(front.keys, -1);
    return front;
  }

  /** Returns whether there are any. */
  #count(keys: Keys, step: 1 | -1): boolean {
    for (const key of keys.entries) this.#countOne(key, step);
    for (const key of keys.servers) this.#countOne(key, step);
    for (const key of keys.addresses) this.#countOne(key, step);
    return countOf(keys) > 0;
  }

  #countOne(key: ObjectKey, step: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + step;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}
