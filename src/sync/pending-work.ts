import { countOf, type Keys, type ObjectKey } from "../model/kernel/keys.ts";
import type { Desired } from "./desired.ts";
import type { ActualState } from "./resync/actual-state.ts";
import { type Compared, Comparison } from "./resync/comparison.ts";

/** Keys that one change touched: planned together, so that a Service is programmed whole. */
export interface ChangeSet {
  readonly keys: Keys;
  /** When it was marked. */
  readonly atMs: number;
}

/**
 * Work that waits for the next sync: the change sets that were marked, then a comparison of everything if the kernel was read
 * since the last one. While the kernel is unknown, change sets are not kept: the comparison finds them.
 */
export class PendingWork {
  readonly #queue = new ChangeQueue();
  #needsComparison = true;
  /** What is left of the comparison that is going on. */
  #comparison: Comparison | undefined;
  #comparedAtMs = 0;
  /** When the first change was marked that only the next comparison will find; undefined if there is none. */
  #unqueuedAtMs: number | undefined;

  /** Whether a change set waits, or a comparison. */
  get isEmpty(): boolean {
    return !this.#needsComparison && this.#comparison === undefined && this.#queue.size === 0;
  }

  /** Whether the next sync has to begin a comparison. */
  get needsComparison(): boolean {
    return this.#needsComparison;
  }

  /** Whether a comparison has begun and not ended. */
  get isComparing(): boolean {
    return this.#comparison !== undefined;
  }

  /** About the number of objects that wait. */
  get size(): number {
    return this.#queue.size + (this.#comparison?.left ?? 0) + (this.#unqueuedAtMs === undefined ? 0 : 1);
  }

  /** When the next change set was marked; undefined if none waits. */
  get firstMarkedMs(): number | undefined {
    return this.#queue.oldestMs;
  }

  /** When the oldest work was marked; undefined if there is none. */
  get oldestMs(): number | undefined {
    const comparedAtMs = this.#comparison === undefined ? undefined : this.#comparedAtMs;
    return earliest(earliest(this.#queue.oldestMs, comparedAtMs), this.#unqueuedAtMs);
  }

  /** Whether a change set that waits has the key. */
  has(key: ObjectKey): boolean {
    return this.#queue.has(key);
  }

  /** Keeps a change set: all of its keys are planned together. */
  mark(keys: Keys, atMs: number): void {
    this.#queue.push(keys, atMs);
  }

  /** Records a change set that only the next comparison will find, because the kernel is unknown. */
  markUnqueued(keys: Keys, atMs: number): void {
    if (countOf(keys) > 0) this.#unqueuedAtMs ??= atMs;
  }

  /** Puts back work that was taken and not done: `next` returns it first, in this order. */
  putBack(parts: readonly Keys[], atMs: number): void {
    this.#queue.putBack(parts, atMs);
  }

  /** Any object may differ: the next sync compares everything. */
  requireComparison(): void {
    this.#needsComparison = true;
  }

  /** Begins the required comparison. One that has not ended begins again. */
  beginComparison(desired: Desired, actual: ActualState, nowMs: number): void {
    this.#needsComparison = false;
    this.#comparison = new Comparison(desired, actual);
    this.#comparedAtMs = this.#unqueuedAtMs ?? nowMs;
    this.#unqueuedAtMs = undefined;
  }

  /** Removes and returns the next work; undefined: no change set waits, and everything is compared. */
  next(): ChangeSet | Compared | undefined {
    const next = this.#queue.shift() ?? this.#comparison?.next();
    if (next === undefined) this.#comparison = undefined;
    return next;
  }
}

function earliest(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

/** Change sets in the order they came in. A key may be in several. */
class ChangeQueue {
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
