/**
 * Limits a rate: it allows a burst after a pause, and then one token for each interval. Times are ms on one clock,
 * which may stand still.
 */
export class TokenBucket {
  readonly #burst: number;
  readonly #refillMs: number;
  /** The time at which the bucket is full if no token is taken before. */
  #fullAtMs = Number.NEGATIVE_INFINITY;

  /** The bucket holds up to `burst` tokens and gains one every `refillMs`. */
  constructor(burst: number, refillMs: number) {
    this.#burst = burst;
    this.#refillMs = refillMs;
  }

  /** Returns when the next token is available: `nowMs` if the bucket has one. */
  readyAtMs(nowMs: number): number {
    return Math.max(nowMs, this.#fullAtMs - (this.#burst - 1) * this.#refillMs);
  }

  /** Takes a token; the bucket must have one. */
  take(nowMs: number): void {
    this.#fullAtMs = Math.max(nowMs, this.#fullAtMs) + this.#refillMs;
  }
}
