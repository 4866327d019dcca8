/** Lets through a burst after a rest, and then one at a time. Times are ms on one clock, which may stand still. */
export class TokenBucket {
  readonly #burst: number;
  readonly #refillMs: number;
  /** When it is full, if nothing is taken until then. */
  #fullAtMs = Number.NEGATIVE_INFINITY;

  /** Holds up to `burst` tokens, and gets one back every `refillMs`. */
  constructor(burst: number, refillMs: number) {
    this.#burst = burst;
    this.#refillMs = refillMs;
  }

  /** When the next token can be taken: `nowMs` if there is one. */
  readyAtMs(nowMs: number): number {
    return Math.max(nowMs, this.#fullAtMs - (this.#burst - 1) * this.#refillMs);
  }

  /** Takes a token, which must be there. */
  take(nowMs: number): void {
    this.#fullAtMs = Math.max(nowMs, this.#fullAtMs) + this.#refillMs;
  }
}
