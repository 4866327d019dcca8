/** The longest delay that a Node.js timer can hold (2^31-1 ms); a longer one would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
/** There is one way only to match digits: with two, 20 KB of them took 5 s. */
const DURATION = /^[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const DURATION_PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
/** Nobody needs more for a duration. */
const LONGEST_DURATION = 64;

/**
 * A duration as Go's time.ParseDuration reads it ("30s", "1h15m", "250ms", "0"), in ms; never negative and never longer
 * than a timer holds. What is none goes to `refuse`, as a clause that follows the text; the value then means nothing.
 */
export function parseDurationMs(text: string, refuse: (problem: string) => void): number {
  if (text.length > LONGEST_DURATION || !DURATION.test(text)) {
    refuse('must be a duration like "30s", "1h15m" or "250ms"');
    return 0;
  }
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(DURATION_PART)) ms += Number(amount) * (MS_PER_UNIT[unit ?? ""] ?? 0);
  if (text.startsWith("-") && ms > 0) refuse("must not be negative");
  if (ms > MAX_TIMER_MS) refuse("must be at most 596h");
  return ms;
}
