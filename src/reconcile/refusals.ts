import type { ObjectKey, ObjectName } from "./key-set.ts";

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** How long to wait after so many attempts in a row have failed: 1 s, doubling, at most a minute. */
export function backoffMs(attempts: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 16));
}

interface Refusal {
  readonly name: ObjectName;
  readonly attempts: number;
  readonly sinceMs: number;
  readonly retryAtMs: number;
}

/** Objects the kernel refused to change, each waiting for its own next attempt. */
export class Refusals {
  readonly #waiting = new Map<ObjectKey, Refusal>();

  get size(): number {
    return this.#waiting.size;
  }

  /** `atOnce`: we were wrong about the object rather than the kernel about us; waits only from the second time on. */
  refuse(name: ObjectName, nowMs: number, atOnce: boolean): void {
    const before = this.#waiting.get(name.key);
    const attempts = (before?.attempts ?? 0) + 1;
    const waitMs = atOnce && attempts === 1 ? 0 : backoffMs(attempts);
    this.#waiting.set(name.key, {
      name,
      attempts,
      sinceMs: before?.sinceMs ?? nowMs,
      retryAtMs: nowMs + waitMs,
    });
  }

  /** The object is as it should be. */
  clear(key: ObjectKey): void {
    this.#waiting.delete(key);
  }

  /** Those whose wait is over. They stay until cleared or refused again. */
  *due(nowMs: number): Generator<ObjectName> {
    for (const { name, retryAtMs } of this.#waiting.values()) if (retryAtMs <= nowMs) yield name;
  }

  /** When the next wait ends; Infinity without any. */
  nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { retryAtMs } of this.#waiting.values()) next = Math.min(next, retryAtMs);
    return next;
  }

  /** Since when the oldest is refused; undefined without any. */
  oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const { sinceMs } of this.#waiting.values()) oldest = Math.min(oldest ?? sinceMs, sinceMs);
    return oldest;
  }
}
