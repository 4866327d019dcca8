import { dateOf, type Readings } from "../../model/time/clock.ts";

/** The smallest difference that counts as a step of the wall clock. NTP slews a clock this far in about half an hour. */
const STEP_MS = 1_000;

/**
 * Converts times of `Clock.now` to Unix times in seconds, for metrics. The conversion is made at each scrape, because the
 * wall clock may be set: a Unix time from before a step back would be in the future. Without a step, the same time has
 * exactly the same value at each scrape, because dashboards count how often the value changes.
 */
export class UnixTimes {
  readonly #clock: Readings;
  #zeroMs = Number.NaN;

  constructor(clock: Readings) {
    this.#clock = clock;
  }

  /** The Unix time of a time of `Clock.now`. 0, which means never, stays 0. */
  seconds(atMs: number): number {
    if (atMs === 0) return 0;
    const zeroMs = dateOf(0, this.#clock).getTime();
    // The negated comparison is true for NaN, the value before the first call.
    if (!(Math.abs(zeroMs - this.#zeroMs) < STEP_MS)) this.#zeroMs = zeroMs;
    return (this.#zeroMs + atMs) / 1000;
  }
}
