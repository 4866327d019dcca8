/** Waits that double. */
export interface Doubling {
  readonly initialMs: number;
  readonly maxMs: number;
}

export interface BackoffOptions extends Doubling {
  /** Without a failure for this time after the last wait, the next wait is `initialMs` again. */
  readonly resetAfterMs: number;
}

/** Returns the wait in ms after so many failures in a row, from 1 on. It doubles from `initialMs` to `maxMs`. */
export function doubledMs(failures: number, { initialMs, maxMs }: Doubling): number {
  return Math.min(maxMs, initialMs * 2 ** (failures - 1));
}

/** Waits after failures. Each wait is random from one to two times the doubled wait. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;

  /** `random` is evenly distributed in [0, 1); without it the waits are not spread. */
  constructor(options: BackoffOptions, random: () => number = () => 0) {
    this.#options = options;
    this.#random = random;
  }

  /** Returns the wait in ms after a failure at `nowMs`. */
  next(nowMs: number): number {
    if (nowMs - this.#lastEndMs >= this.#options.resetAfterMs) this.#failures = 0;
    const waitMs = doubledMs(++this.#failures, this.#options) * (1 + this.#random());
    this.#lastEndMs = nowMs + waitMs;
    return waitMs;
  }
}
