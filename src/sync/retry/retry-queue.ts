import type { ObjectKey, ObjectName } from "../../model/kernel/keys.ts";
import { type Doubling, doubledMs } from "../../model/time/backoff.ts";
import type { FailureLog } from "./failure-log.ts";
import type { FailedObject } from "./outcomes.ts";

const RETRIES: Doubling = { initialMs: 1_000, maxMs: 60_000 };

/** Returns the wait after this number of failed attempts in sequence: 1 s, then twice as long each time, at most a minute. */
export function backoffMs(attempts: number): number {
  return doubledMs(attempts, RETRIES);
}

interface WaitingObject {
  readonly name: ObjectName;
  readonly attempts: number;
  readonly sinceMs: number;
  readonly retryAtMs: number;
}

/** The objects whose last operation failed. Each waits for its own next attempt. */
export class RetryQueue {
  readonly #waiting = new Map<ObjectKey, WaitingObject>();
  readonly #failures: Pick<FailureLog, "failed" | "ended">;

  /** Every object that has to wait is also recorded in `failures`. */
  constructor(failures: Pick<FailureLog, "failed" | "ended">) {
    this.#failures = failures;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Adds the object. If the actual state was wrong, the first retry is immediate, because the state is read before it. */
  add(refused: FailedObject, nowMs: number): void {
    const { name, contradicted } = refused;
    const before = this.#waiting.get(name.key);
    const attempts = (before?.attempts ?? 0) + 1;
    const atOnce = contradicted && attempts === 1;
    const waitMs = atOnce ? 0 : backoffMs(attempts);
    if (!atOnce) this.#failures.failed(name.key, refused, nowMs);
    this.#waiting.set(name.key, {
      name,
      attempts,
      sinceMs: before?.sinceMs ?? nowMs,
      retryAtMs: nowMs + waitMs,
    });
  }

  /** Removes the object: it has the desired state. */
  clear(key: ObjectKey): void {
    if (this.#waiting.delete(key)) this.#failures.ended(key);
  }

  /** Yields the objects whose wait is over. They stay in the queue until they are cleared or fail again. */
  *due(nowMs: number): Generator<ObjectName> {
    for (const { name, retryAtMs } of this.#waiting.values()) if (retryAtMs <= nowMs) yield name;
  }

  /** When the next wait ends; Infinity if the queue is empty. */
  nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { retryAtMs } of this.#waiting.values()) next = Math.min(next, retryAtMs);
    return next;
  }

  /** When the oldest failure began; undefined if the queue is empty. */
  oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const { sinceMs } of this.#waiting.values()) oldest = Math.min(oldest ?? sinceMs, sinceMs);
    return oldest;
  }
}
