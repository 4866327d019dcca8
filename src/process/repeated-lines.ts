/** The time in which a line that repeats is only counted. */
const QUIET_MS = 600_000;
/** The lines that are remembered; what repeats is among the last ones. */
const REMEMBERED = 100;

/** What becomes of a line: it is logged, with the number of its repetitions that were not; or it is only counted. */
export type LineDecision = { readonly logged: true; readonly repeated: number } | { readonly logged: false };

/**
 * Decides which warnings and errors are logged: one that repeats without a change is logged once and then counted, and
 * logged again with its count after ten minutes. A line of level info ends the silence, because it may report that the
 * problem is over: the next warning is news.
 */
export class RepeatedLines {
  readonly #lines = new Map<string, { loggedAtMs: number; repeated: number }>();

  /** Decides about a warning or error; `key` has all of it but the time. */
  decide(key: string, nowMs: number): LineDecision {
    const known = this.#lines.get(key);
    if (known !== undefined && nowMs - known.loggedAtMs < QUIET_MS) {
      known.repeated += 1;
      return { logged: false };
    }
    this.#lines.delete(key);
    this.#lines.set(key, { loggedAtMs: nowMs, repeated: 0 });
    const [oldest] = this.#lines.keys();
    if (this.#lines.size > REMEMBERED && oldest !== undefined) this.#lines.delete(oldest);
    return { logged: true, repeated: known?.repeated ?? 0 };
  }

  /** A line of level info is logged. */
  endSilence(): void {
    for (const line of this.#lines.values()) line.loggedAtMs = Number.NEGATIVE_INFINITY;
  }
}
