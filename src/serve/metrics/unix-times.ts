import { dateOf, type Readings } from "../../model/clock.ts";

/** As much as a clock that NTP slews is off the other within some half an hour. */
const STEP_MS = 1_000;

/**
 * Times of `Clock.now` as Unix times in seconds, for metrics. They are made at each scrape, so that they are right after the wall
 * clock was set: one that was kept from before a step back would be in the future for hours. Without a step the same time has
 * the same value at each scrape, to the digit, as dashboards expect that count how often it changes.
 */
export class UnixTimes {
  readonly #clock: Readings;
  #zeroMs = Number.NaN;

  constructor(clock: Readings) {
    this.#clock = clock;
  }

  /** 0, which means never, stays 0. */
  seconds(atMs: number): number {
    if (atMs === 0) return 0;
    const zeroMs = dateOf(0, this.#clock).getTime();
    // Not so with NaN, the first time.
    if (!(Math.abs(zeroMs - this.#zeroMs) < STEP_MS)) this.#zeroMs = zeroMs;
    return (this.#zeroMs + atMs) / 1000;
  }
}
