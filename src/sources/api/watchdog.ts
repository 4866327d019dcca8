import type { Clock } from "../../model/time/clock.ts";
import { LimitedWait } from "../../model/time/limited-wait.ts";

/**
 * Ends an attempt that takes too long. Its signal is aborted at the deadline, when the parent is aborted, and by `stop`,
 * so that everything opened with the signal is closed in every case.
 */
export class Watchdog<Reason> {
  readonly #clock: Clock;
  readonly #attempt: LimitedWait;
  #deadlineMs = 0;
  #reason: Reason;
  #expired: Reason | undefined;

  /** The first deadline is `ms` from now. */
  constructor(clock: Clock, parent: AbortSignal, ms: number, reason: Reason) {
    this.#clock = clock;
    this.#reason = reason;
    this.#attempt = new LimitedWait(parent);
    this.allowUntil(clock.now() + ms, reason);
    void this.#guard();
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  /** The reason of the deadline that passed; undefined if none has passed. */
  get expired(): Reason | undefined {
    return this.#expired;
  }

  /** Moves the deadline. An earlier deadline than the current one has no effect, because the watchdog sleeps until then. */
  allowUntil(deadlineMs: number, reason: Reason): void {
    this.#deadlineMs = Math.max(this.#deadlineMs, deadlineMs);
    this.#reason = reason;
  }

  stop(): void {
    this.#attempt.end();
  }

  async #guard(): Promise<void> {
    while (!this.#attempt.signal.aborted) {
      const leftMs = this.#deadlineMs - this.#clock.now();
      if (leftMs <= 0) {
        this.#expired = this.#reason;
        this.#attempt.end();
        return;
      }
      await this.#clock.sleep(leftMs, this.#attempt.signal);
    }
  }
}
