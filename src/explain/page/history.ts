import { dateOf, type Readings } from "../../model/time/clock.ts";
import type { DriftCount, ResyncReport, SyncReport } from "../../sync/sync-report.ts";
import type { DriftRecord, HistoryPoint } from "./page-messages.ts";

/** The time of one point, and the number of points that are kept: one hour. */
export const STEP_MS = 10_000;
const KEPT_POINTS = 360;
const KEPT_DRIFT = 20;

interface Sum {
  count: number;
  sumMs: number;
  maxMs: number;
}

interface Step {
  /** The number of the step since the zero of `Clock.now`. */
  readonly number: number;
  readonly syncs: Sum;
  readonly programming: Sum;
  failed: number;
}

/** The durations of the syncs of the last hour, and the last drift, in a fixed amount of memory. */
export class History {
  readonly #clock: Readings;
  readonly #steps: Step[] = [];
  readonly #drift: { readonly atMs: number; readonly drift: readonly DriftCount[] }[] = [];

  constructor(clock: Readings) {
    this.#clock = clock;
  }

  /** Records a sync that ended. */
  record({ durationMs, operations, drift }: Pick<SyncReport, "durationMs" | "operations" | "drift">): void {
    const step = this.#step();
    add(step.syncs, durationMs);
    for (const { errno, count } of operations) if (errno !== "") step.failed += count;
    this.#recordDrift(drift);
  }

  /** Records that the kernel is programmed for a change that was made `latencyMs` ago. */
  recordProgrammed(_family: unknown, latencyMs: number): void {
    add(this.#step().programming, latencyMs);
  }

  /** Records a resync that ended. */
  recordResync({ drift }: Pick<ResyncReport, "drift">): void {
    this.#recordDrift(drift);
  }

  /** The points from the last `steps` steps that have one, the oldest first. */
  points(steps = KEPT_POINTS): readonly HistoryPoint[] {
    const first = this.#number() - steps;
    return this.#steps.filter(({ number }) => number > first).map((step) => this.#point(step));
  }

  /** The last drift, the newest first. */
  drift(): readonly DriftRecord[] {
    return this.#drift.map(({ atMs, drift }) => ({ atUnixMs: this.#unixMs(atMs), drift })).reverse();
  }

  #recordDrift(drift: readonly DriftCount[]): void {
    if (drift.length === 0) return;
    this.#drift.push({ atMs: this.#clock.now(), drift });
    if (this.#drift.length > KEPT_DRIFT) this.#drift.shift();
  }

  #number(): number {
    return Math.floor(this.#clock.now() / STEP_MS);
  }

  #step(): Step {
    const number = this.#number();
    const last = this.#steps.at(-1);
    if (last?.number === number) return last;
    const step: Step = { number, syncs: noTime(), programming: noTime(), failed: 0 };
    this.#steps.push(step);
    if (this.#steps.length > KEPT_POINTS) this.#steps.shift();
    return step;
  }

  #point({ number, syncs, programming, failed }: Step): HistoryPoint {
    return {
      step: number,
      atUnixMs: this.#unixMs(number * STEP_MS),
      syncs: syncs.count,
      syncMeanMs: mean(syncs),
      syncMaxMs: rounded(syncs.maxMs),
      changes: programming.count,
      programmingMeanMs: mean(programming),
      programmingMaxMs: rounded(programming.maxMs),
      failed,
    };
  }

  #unixMs(atMs: number): number {
    return dateOf(atMs, this.#clock).getTime();
  }
}

function noTime(): Sum {
  return { count: 0, sumMs: 0, maxMs: 0 };
}

function add(sum: Sum, ms: number): void {
  sum.count++;
  sum.sumMs += ms;
  sum.maxMs = Math.max(sum.maxMs, ms);
}

function mean({ count, sumMs }: Sum): number {
  return count === 0 ? 0 : rounded(sumMs / count);
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
