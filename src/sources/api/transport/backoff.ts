import type { Wait } from "../recovery.ts";

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Without a failure for this time after the last wait, the next wait is `initialMs` again. */
  readonly resetAfterMs: number;
}

/** The values of client-go's reflector (tools/cache/reflector.go). They spread the reconnects of all nodes over time. */
export const RECONNECT: BackoffOptions = { initialMs: 800, maxMs: 30_000, resetAfterMs: 120_000 };

/** Waits after failures. The base doubles up to the maximum, and each wait is random from one to two times the base. */
export class Backoff {
  readonly #options: BackoffOptions;
  /** Evenly distributed in [0, 1). */
  readonly #random: () => number;
  #baseMs: number;
  #lastEndMs = Number.NEGATIVE_INFINITY;

  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
    this.#baseMs = options.initialMs;
  }

  /** The wait in ms after a failure at `nowMs`. */
  next(nowMs: number): number {
    if (nowMs - this.#lastEndMs >= this.#options.resetAfterMs) this.#baseMs = this.#options.initialMs;
    const waitMs = this.#baseMs * (1 + this.#random());
    this.#baseMs = Math.min(this.#baseMs * 2, this.#options.maxMs);
    this.#lastEndMs = nowMs + waitMs;
    return waitMs;
  }

  /** The wait of this kind, in ms. */
  waitMs(wait: Wait, nowMs: number): number {
    switch (wait) {
      case "none":
        return 0;
      case "jitter":
        return this.#random() * 100;
      case "spread":
        return 800 * (1 + this.#random());
      case "backoff":
        return this.next(nowMs);
    }
  }
}
