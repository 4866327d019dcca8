import { TokenBucket } from "./time/token-bucket.ts";

/** The problems to report now: each once when it begins or its text changes, and once when it ends. */
export interface ProblemChanges<Value> {
  readonly begun: readonly Value[];
  readonly ended: readonly Value[];
}

/** Returns what begins and what ends between two states of the problems of one owner, each problem by its text. */
export function changesBetween<Value>(
  before: ReadonlyMap<string, Value>,
  after: ReadonlyMap<string, Value>,
): ProblemChanges<Value> {
  return { begun: missingIn(before, after), ended: missingIn(after, before) };
}

function missingIn<Value>(some: ReadonlyMap<string, Value>, all: ReadonlyMap<string, Value>): readonly Value[] {
  return [...all].filter(([text]) => !some.has(text)).map(([, problem]) => problem);
}

export interface ProblemLimits {
  /**
   * Maximum number of problems that are kept, together with those whose end is not reported yet: such a problem may
   * begin again and must not be reported as ended while it exists. A problem beyond this number is not kept and
   * therefore never reported.
   */
  readonly kept: number;
  /** Maximum number of beginnings that are reported together. */
  readonly burst: number;
  /** Time between two reports of beginnings after a burst. */
  readonly refillMs: number;
}

interface Entry<Value> {
  text: string;
  problem: Value;
  /** The text of the last report that the problem began; undefined before the first report. */
  reportedText: string | undefined;
}

/**
 * Keeps the current problems by key and returns those to report. A problem that begins and ends between two calls of
 * `takeChanges` is not reported. With limits, a node on which everything fails writes few lines.
 */
export class ProblemTracker<Value> {
  readonly #kept: number;
  readonly #bucket: TokenBucket | undefined;
  readonly #entries = new Map<string, Entry<Value>>();
  /** Problems that were reported and ended since the last `takeChanges`. */
  readonly #ended = new Map<string, Entry<Value>>();

  constructor(limits?: ProblemLimits) {
    this.#kept = limits?.kept ?? Number.POSITIVE_INFINITY;
    this.#bucket = limits && new TokenBucket(limits.burst, limits.refillMs);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the problem of a key, if it exists and is kept. */
  get(key: string): Value | undefined {
    return this.#entries.get(key)?.problem;
  }

  /** Records that the problem exists. A different text is a change to report; `problem` may change without a report. */
  set(key: string, text: string, problem: Value): void {
    const entry = this.#entries.get(key) ?? this.#ended.get(key);
    if (entry === undefined && this.#entries.size + this.#ended.size >= this.#kept) return;
    this.#ended.delete(key);
    this.#entries.set(key, { text, problem, reportedText: entry?.reportedText });
  }

  /** Records that the problem has ended. */
  clear(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (entry.reportedText !== undefined) this.#ended.set(key, entry);
  }

  /** Replaces all problems by these. The text of each problem is also its key. */
  replace(problems: Iterable<readonly [text: string, problem: Value]>): void {
    const now = new Map(problems);
    for (const key of this.#entries.keys()) if (!now.has(key)) this.clear(key);
    for (const [text, problem] of now) this.set(text, text, problem);
  }

  /**
   * Returns the changes since the last call. A change beyond the limits is returned by a later call, if the problem
   * still exists.
   */
  takeChanges(nowMs: number): ProblemChanges<Value> {
    const ended = [...this.#ended.values()].map(({ problem }) => problem);
    this.#ended.clear();
    const begun: Value[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.reportedText === entry.text) continue;
      if (!this.#mayReport(nowMs)) break;
      entry.reportedText = entry.text;
      begun.push(entry.problem);
    }
    return { begun, ended };
  }

  /** Yields the current problems that are kept, in the order in which they began. */
  *standing(): Generator<Value> {
    for (const { problem } of this.#entries.values()) yield problem;
  }

  #mayReport(nowMs: number): boolean {
    if (this.#bucket === undefined) return true;
    if (this.#bucket.readyAtMs(nowMs) > nowMs) return false;
    this.#bucket.take(nowMs);
    return true;
  }
}
