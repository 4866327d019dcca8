import type { Wait } from "../recovery.ts";

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Without a failure for so long after the last wait, the next wait is the initial one again. */
  readonly resetAfterMs: number;
}

/** client-go's of the reflector (tools/cache/reflector.go): a fleet that loses its API server comes back spread out. */
export const RECONNECT: BackoffOptions = { initialMs: 800, maxMs: 30_000, resetAfterMs: 120_000 };

/** How long to wait after a failure: doubling up to the maximum, each time lengthened by up to as much again. */
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

  /** The wait, in ms, after a failure seen at `nowMs`. */
  next(nowMs: number): number {
    if (nowMs - this.#lastEndMs >= this.#options.resetAfterMs) this.#baseMs = this.#options.initialMs;
    const waitMs = this.#baseMs * (1 + this.#random());
    this.#baseMs = Math.min(this.#baseMs * 2, this.#options.maxMs);
    this.#lastEndMs = nowMs + waitMs;
    return waitMs;
  }

  /** How long to wait in this way, in ms. */
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
