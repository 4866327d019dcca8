import type { Clock } from "./clock.ts";

/** A wait for something that may never happen. It ends when `end` is called, when its parent is aborted, or after a time. */
export class LimitedWait {
  readonly #controller = new AbortController();
  readonly #reason: Error | undefined;

  /** `reason` is the reason of the abort of `signal`; an AbortError if there is none. */
  constructor(parent: AbortSignal, reason?: Error) {
    this.#reason = reason;
    parent.addEventListener("abort", this.end, { signal: this.#controller.signal });
    if (parent.aborted) this.end();
  }

  /** Aborted when the wait has ended, for any of the three reasons. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the wait. */
  readonly end = (): void => this.#controller.abort(this.#reason);

  /** Resolves when the wait has ended, which is after `ms` at the latest. */
  async atMost(ms: number, clock: Pick<Clock, "sleep">): Promise<void> {
    await clock.sleep(ms, this.#controller.signal);
    this.end();
  }
}
