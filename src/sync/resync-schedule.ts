/** After an external change, the next resync begins this long after the end of the last one at the earliest, */
const REST_MS = 1_000;
/** and after so many times its duration, so that a competing writer cannot keep the agent busy. */
const REST_FACTOR = 3;
/** The most sync periods between two resyncs beside another proxy: with the default two minutes. */
const MOST_PERIODS = 4;
/**
 * A resync that takes more CPU time makes the time to the next one as much longer as it took more. With the default sync period
 * this is a hundredth of a CPU at most: reading 50,000 Services takes ten seconds of CPU time.
 */
const CHEAP_MS = 300;
const NEVER = Number.POSITIVE_INFINITY;

/** What a resync has taken and found. */
export interface ResyncCost {
  readonly durationMs: number;
  readonly cpuMs: number;
  /** Whether it was the first one: most of its time makes the node ready. */
  readonly first: boolean;
  /** Whether it has found drift beside another service proxy. */
  readonly isContested: boolean;
}

/**
 * When the next resync is due, and the next check of the node. A resync is due at the begin, then after each sync period, or
 * later if the last one was expensive. In the periods between two resyncs, checks are due.
 */
export class ResyncSchedule {
  #syncPeriodMs: number;
  readonly #now: () => number;
  /** From 0 to 1. */
  readonly #random: () => number;
  #resyncAtMs = 0;
  #checkAtMs = NEVER;
  /** The sync periods from one cheap resync to the next. */
  #periods = 1;
  #restedAtMs = 0;
  #hasExternalChange = false;
  /** Whether one was requested since the last one began. */
  isResyncRequested = false;

  constructor(syncPeriodMs: number, now: () => number, random: () => number) {
    this.#syncPeriodMs = syncPeriodMs;
    this.#now = now;
    this.#random = random;
  }

  get resyncAtMs(): number {
    return this.#resyncAtMs;
  }

  /** Infinity if none is due before the next resync. */
  get checkAtMs(): number {
    return this.#checkAtMs;
  }

  /** Uses another period: what is due next is due by it. */
  reconfigure(syncPeriodMs: number): void {
    this.#syncPeriodMs = syncPeriodMs;
    const nextMs = this.#now() + syncPeriodMs;
    if (this.#checkAtMs === NEVER) this.#resyncAtMs = Math.min(this.#resyncAtMs, nextMs);
    else this.#checkAtMs = Math.min(this.#checkAtMs, nextMs);
  }

  /** A resync is due now. */
  request(): void {
    this.isResyncRequested = true;
    this.#resyncAtMs = 0;
  }

  /** A resync is due as soon as the rest after the last one allows. */
  requestAfterRest(): void {
    this.#hasExternalChange = true;
    this.#resyncAtMs = Math.min(this.#resyncAtMs, this.#restedAtMs);
  }

  /** A resync begins, which sees all changes until now. */
  begin(): void {
    this.isResyncRequested = false;
    this.#hasExternalChange = false;
    this.#checkAtMs = NEVER;
  }

  /** It has ended. */
  end({ durationMs, cpuMs, first, isContested }: ResyncCost): void {
    this.#periods = isContested ? Math.min(MOST_PERIODS, 2 * this.#periods) : 1;
    const periods = Math.max(this.#periods, first ? 1 : cpuMs / CHEAP_MS);
    if (!this.isResyncRequested) this.#resyncAtMs = this.#afterPeriods(periods);
    this.#restedAtMs = this.#now() + Math.max(REST_MS, first ? 0 : REST_FACTOR * durationMs);
    if (this.#hasExternalChange) this.requestAfterRest();
    this.planCheck();
  }

  /** The next check is due after a sync period; a resync that is due about then takes its place. */
  planCheck(): void {
    const isBeforeResync = this.#resyncAtMs - this.#now() > 1.5 * this.#periods * this.#syncPeriodMs;
    this.#checkAtMs = isBeforeResync ? this.#afterPeriods(this.#periods) : NEVER;
  }

  /** The time after so many periods, give or take a tenth. */
  #afterPeriods(periods: number): number {
    return this.#now() + periods * this.#syncPeriodMs * (0.9 + 0.2 * this.#random());
  }
}
