/**
 * Time, passed in wherever it is needed; a test moves its own by hand.
 *
 * There are two times, and their types keep them apart. What is waited for or measured is a number of milliseconds of a clock
 * that only goes forward. What is shown to people, or compared with times of the API, is a `Date` of the wall clock: an
 * administrator, NTP or a resumed machine sets that one at any moment, by hours and in both directions.
 */
export interface Clock {
  /** Milliseconds since a moment before the process began: above 0, and never less than before. */
  now(): number;
  /** The wall clock. */
  date(): Date;
  /** Resolves when `ms` have passed, not earlier, or when the signal is aborted; Infinity is for ever. Rejects only NaN. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Both readings of a clock, for what relates one to the other. */
export type Readings = Pick<Clock, "now" | "date">;

/** What the wall clock would have shown at `atMs`, a time of `now()`, if nobody had set it since. */
export function dateOf(atMs: number, clock: Readings): Date {
  return new Date(clock.date().getTime() - (clock.now() - atMs));
}

/**
 * The time of `now()` for a time of the API, in ms since the epoch. The wall clocks of two machines differ, so the API may name
 * a time in the future: nothing is known of it but that it is over, so it counts as now.
 */
export function timeOf(unixMs: number, clock: Readings): number {
  return clock.now() - Math.max(0, clock.date().getTime() - unixMs);
}
