/** The longest delay of a Node.js timer (2^31-1 ms); a longer one fires immediately. */
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
/** The pattern has only one way to match digits: with two ways, 20 KB of digits took 5 s. */
const DURATION = /^[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const DURATION_PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
/** Upper limit for the length of a duration. */
const LONGEST_DURATION = 64;

/**
 * Parses a duration as Go's time.ParseDuration does ("30s", "1h15m", "250ms", "0"). Returns ms, not negative and at
 * most the longest delay of a timer. For an invalid text it calls `refuse` with a clause that follows the text; the
 * returned value then has no meaning.
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

/** Formats a duration in ms as Go does: "30s", "1h15m0s", "250ms", "0s". */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1000) return ms >= 1 ? `${ms}ms` : `${Math.round(ms * 1e6)}ns`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = (ms % 60_000) / 1000;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
