import type { ObjectKey, ObjectName } from "../../model/kernel/keys.ts";
import { type Doubling, doubledMs } from "../../model/time/backoff.ts";
import type { FailureLog } from "./failure-log.ts";
import type { FailedObject } from "./outcomes.ts";

const RETRIES: Doubling = { initialMs: 1_000, maxMs: 60_000 };

/** How long to wait after so many attempts in a row have failed: 1 s, doubling, at most a minute. */
export function backoffMs(attempts: number): number {
  return doubledMs(attempts, RETRIES);
}

interface WaitingObject {
  readonly name: ObjectName;
  readonly attempts: number;
  readonly sinceMs: number;
  readonly retryAtMs: number;
}

/** Objects the kernel refused to change, each waiting for its own next attempt. */
export class RetryQueue {
  readonly #waiting = new Map<ObjectKey, WaitingObject>();
  readonly #failures: Pick<FailureLog, "failed" | "ended">;

  /** Each that has to wait is also noted in the log of failures. */
  constructor(failures: Pick<FailureLog, "failed" | "ended">) {
    this.#failures = failures;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Where we were wrong about the object rather than the kernel about us, it waits only from the second time on. */
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

  /** The object is as it should be. */
  clear(key: ObjectKey): void {
    if (this.#waiting.delete(key)) this.#failures.ended(key);
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
