import { TokenBucket } from "./token-bucket.ts";

/** What is to be reported now: each problem once when it begins or its text changes, and once when it ends. */
export interface ProblemChanges<Problem> {
  readonly begun: readonly Problem[];
  readonly ended: readonly Problem[];
}

export interface ProblemLimits {
  /**
   * Problems that are kept at a time, with those whose end was not reported yet: such a problem may begin again, and must not
   * be reported as ended while it stands. All others are not kept, and so never reported.
   */
  readonly kept: number;
  /** Reports of beginnings that may follow each other, */
  readonly burst: number;
  /** and the time between two after that. */
  readonly refillMs: number;
}

interface Entry<Problem> {
  text: string;
  problem: Problem;
  /** The text of the last report of its beginning; undefined before the first. */
  reportedText: string | undefined;
}

/**
 * Keeps the problems that stand, by key, and says which are new. A problem that begins and ends between two calls of
 * `takeChanges` is not reported at all. With limits, a node on which everything fails writes few lines.
 */
export class ProblemTracker<Problem> {
  readonly #kept: number;
  readonly #bucket: TokenBucket | undefined;
  readonly #entries = new Map<string, Entry<Problem>>();
  /** Problems that were reported and have ended since the last `takeChanges`. */
  readonly #ended = new Map<string, Entry<Problem>>();

  constructor(limits?: ProblemLimits) {
    this.#kept = limits?.kept ?? Number.POSITIVE_INFINITY;
    this.#bucket = limits && new TokenBucket(limits.burst, limits.refillMs);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The problem of a key, if it stands and is kept. */
  get(key: string): Problem | undefined {
    return this.#entries.get(key)?.problem;
  }

  /** The problem stands. Another text than before is a change to report; `problem` itself may change without one. */
  set(key: string, text: string, problem: Problem): void {
    const entry = this.#entries.get(key) ?? this.#ended.get(key);
    if (entry === undefined && this.#entries.size + this.#ended.size >= this.#kept) return;
    this.#ended.delete(key);
    this.#entries.set(key, { text, problem, reportedText: entry?.reportedText });
  }

  /** The problem does not stand. */
  clear(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (entry.reportedText !== undefined) this.#ended.set(key, entry);
  }

  /** These problems stand and no others. Each is its own text and key. */
  replace(problems: Iterable<readonly [text: string, problem: Problem]>): void {
    const now = new Map(problems);
    for (const key of this.#entries.keys()) if (!now.has(key)) this.clear(key);
    for (const [text, problem] of now) this.set(text, text, problem);
  }

  /** What has changed since the last call. What the limits keep back is reported by a later call, if it stands then. */
  takeChanges(nowMs: number): ProblemChanges<Problem> {
    const ended = [...this.#ended.values()].map(({ problem }) => problem);
    this.#ended.clear();
    const begun: Problem[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.reportedText === entry.text) continue;
      if (!this.#mayReport(nowMs)) break;
      entry.reportedText = entry.text;
      begun.push(entry.problem);
    }
    return { begun, ended };
  }

  /** The problems that stand and are kept, in the order in which they began. */
  *standing(): Generator<Problem> {
    for (const { problem } of this.#entries.values()) yield problem;
  }

  #mayReport(nowMs: number): boolean {
    if (this.#bucket === undefined) return true;
    if (this.#bucket.readyAtMs(nowMs) > nowMs) return false;
    this.#bucket.take(nowMs);
    return true;
  }
}
