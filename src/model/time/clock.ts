/**
 * Gives the time to the code that needs it; a test uses a clock that it moves itself.
 *
 * There are two kinds of time with different types. Delays and durations are numbers of milliseconds on a clock that
 * only goes forward. Times for display, and times that are compared with times of the API, are a `Date` of the wall
 * clock: an administrator, NTP or a resumed machine may set that clock at any moment, by hours and in both directions.
 */
export interface Clock {
  /** Returns milliseconds since a moment before the process began: above 0, and never less than before. */
  now(): number;
  /** Returns the time of the wall clock. */
  date(): Date;
  /**
   * Resolves when `ms` have passed, not earlier, or when the signal is aborted; Infinity never passes. Rejects only for
   * NaN.
   */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The readings of a clock, for code that converts between its two kinds of time. */
export type Readings = Pick<Clock, "now" | "date">;

/** Converts a time of `now()` to a time of the wall clock, assuming that the wall clock was not set since. */
export function dateOf(atMs: number, clock: Readings): Date {
  return new Date(clock.date().getTime() - (clock.now() - atMs));
}

/**
 * Converts a time of the API, in ms since the epoch, to a time of `now()`. The wall clocks of two machines differ, so
 * the API may name a time in the future; the event has happened in any case, so that time counts as now.
 */
export function timeOf(unixMs: number, clock: Readings): number {
  return clock.now() - Math.max(0, clock.date().getTime() - unixMs);
}

/** Returns a time in ms since the epoch as text of RFC 3339 in UTC. */
export function isoTime(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
