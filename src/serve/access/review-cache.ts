/** The result of a review, and the time for which it is valid. */
export interface Reviewed<Result> {
  readonly result: Result;
  readonly keepMs: number;
}

/** The number of results that are kept. Clients of metrics are few; the limit is for clients that try many tokens. */
const MOST_RESULTS = 256;

/**
 * Keeps the results of reviews. Requests for the same key at one time share a review. A review that fails is not kept. Beyond
 * the limit the oldest result is dropped.
 */
export class ReviewCache<Result> {
  readonly #now: () => number;
  readonly #kept = new Map<string, { readonly result: Result; readonly untilMs: number }>();
  readonly #running = new Map<string, Promise<Result>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The number of results that are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** The result for a key: a kept one, or that of `review`. Rejects as `review`. */
  async get(key: string, review: () => Promise<Reviewed<Result>>): Promise<Result> {
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#now() < kept.untilMs) return kept.result;
    const running = this.#running.get(key) ?? this.#review(key, review).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return await running;
  }

  async #review(key: string, review: () => Promise<Reviewed<Result>>): Promise<Result> {
    const { result, keepMs } = await review();
    this.#kept.delete(key);
    this.#kept.set(key, { result, untilMs: this.#now() + keepMs });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_RESULTS && oldest !== undefined) this.#kept.delete(oldest);
    return result;
  }
}
