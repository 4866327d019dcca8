import type { Clock } from "../../model/clock.ts";

/**
 * Ends one attempt when what was allowed to take some time takes longer. Its signal is aborted then, when the parent
 * is, and by `stop`: whatever was opened with it is closed in every case.
 */
export class Watchdog<Reason> {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #deadlineMs = 0;
  #reason: Reason;
  #expired: Reason | undefined;

  /** Allows `ms` at first. */
  constructor(clock: Clock, parent: AbortSignal, ms: number, reason: Reason) {
    this.#clock = clock;
    this.#reason = reason;
    if (parent.aborted) this.#controller.abort();
    parent.addEventListener("abort", () => this.#controller.abort(), { signal: this.#controller.signal });
    this.allowUntil(clock.now() + ms, reason);
    void this.#guard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why time ran out; undefined while it has not. */
  get expired(): Reason | undefined {
    return this.#expired;
  }

  /** Moves the end, never to an earlier time: the watchdog sleeps until then. */
  allowUntil(deadlineMs: number, reason: Reason): void {
    this.#deadlineMs = Math.max(this.#deadlineMs, deadlineMs);
    this.#reason = reason;
  }

  stop(): void {
    this.#controller.abort();
  }

  async #guard(): Promise<void> {
    while (!this.#controller.signal.aborted) {
      const leftMs = this.#deadlineMs - this.#clock.now();
      if (leftMs <= 0) {
        this.#expired = this.#reason;
        this.#controller.abort();
        return;
      }
      await this.#clock.sleep(leftMs, this.#controller.signal);
    }
  }
}
