import type { Clock } from "../model/clock.ts";
import { KernelError } from "../model/kernel/kernel-error.ts";
import type { Reconciler } from "./reconciler.ts";
import { backoffMs } from "./retry/refusals.ts";
import type { LookReport, SyncReport } from "./sync-report.ts";

/** A look because of others comes this long after the last one at the earliest, */
const LOOK_REST_MS = 1_000;
/** and after so many times as long as that took: someone who keeps changing our objects must not keep us looking. */
const LOOK_REST_FACTOR = 3;

export interface PacerOptions {
  /** From the end of one flush to the begin of the next, unless the first was cut short. */
  readonly minSyncPeriodMs: number;
  /** From one look to the next, give or take a tenth. */
  readonly syncPeriodMs: number;
}

export interface PacerDependencies {
  readonly reconciler: Pick<Reconciler, "isInformed" | "workAtMs" | "look" | "flush">;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly onSync: (report: SyncReport) => void;
  readonly onLook: (report: LookReport) => void;
  /** The kernel did not answer. It is asked again after a wait that doubles from a second to a minute. */
  readonly onFailure: (error: KernelError) => void;
}

/**
 * Says when. It looks at once, then every sync period and when asked, flushes as soon as there is work and the minimum period
 * allows, and sleeps otherwise, until the time or `wake`. One flush and one look at a time; flushes go on during a look, for
 * that takes seconds where there are many objects, unless it was asked for.
 */
export class Pacer {
  readonly #options: PacerOptions;
  readonly #dependencies: PacerDependencies;
  #wakeUp: () => void = () => {};
  #lookAtMs = 0;
  /** Since the last look began. */
  #isLookAsked = false;
  #isLookHinted = false;
  #restedAtMs = 0;
  #flushFromMs = 0;
  /** After failures nothing begins before. */
  #pauseUntilMs = 0;
  #failures = 0;
  /** The look that is running; never rejects. */
  #looking: Promise<void> | undefined;
  /** What a look threw that is no failure of the kernel. */
  #bug: { readonly error: unknown } | undefined;

  constructor(options: PacerOptions, dependencies: PacerDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Work was marked: whoever sleeps looks at the time again. */
  wake(): void {
    this.#wakeUp();
  }

  /** Looks before anything else is done: what the look before was made with is no longer so. */
  lookSoon(): void {
    this.#isLookAsked = true;
    this.#lookAtMs = 0;
    this.#wakeUp();
  }

  /** Something tells that others have changed the kernel: looks as soon as the last look is far enough. */
  lookWhenRested(): void {
    this.#isLookHinted = true;
    this.#lookAtMs = Math.min(this.#lookAtMs, this.#restedAtMs);
    this.#wakeUp();
  }

  /** Runs until the signal aborts; what was begun is finished. Rejects on bugs only. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, reconciler } = this.#dependencies;
    const wake = (): void => this.wake();
    signal.addEventListener("abort", wake);
    while (!signal.aborted && this.#bug === undefined) {
      const nowMs = clock.now();
      const isLooking = this.#looking !== undefined;
      const lookAtMs = isLooking ? Number.POSITIVE_INFINITY : Math.max(this.#lookAtMs, this.#pauseUntilMs);
      const mustLook = this.#isLookAsked || (isLooking && !reconciler.isInformed);
      const workAtMs = mustLook ? Number.POSITIVE_INFINITY : reconciler.workAtMs();
      const flushAtMs = Math.max(workAtMs, this.#flushFromMs, this.#pauseUntilMs);
      if (nowMs >= lookAtMs) await this.#beginLook();
      else if (nowMs >= flushAtMs) await this.#attempt(() => this.#flush());
      else await this.#sleep(Math.min(lookAtMs, flushAtMs, nowMs + this.#options.syncPeriodMs) - nowMs);
    }
    signal.removeEventListener("abort", wake);
    await this.#looking;
    if (this.#bug !== undefined) throw this.#bug.error;
  }

  /** One that was asked for is waited for. */
  async #beginLook(): Promise<void> {
    const isAsked = this.#isLookAsked;
    this.#looking = this.#attempt(() => this.#look())
      .catch((error: unknown) => {
        this.#bug = { error };
      })
      .finally(() => {
        this.#looking = undefined;
        this.#wakeUp();
      });
    if (isAsked) await this.#looking;
  }

  async #look(): Promise<void> {
    const { clock, onLook, random, reconciler } = this.#dependencies;
    this.#isLookAsked = false;
    this.#isLookHinted = false;
    const report = await reconciler.look();
    if (!this.#isLookAsked) this.#lookAtMs = clock.now() + this.#options.syncPeriodMs * (0.9 + 0.2 * random());
    // Most of the first is making the node ready.
    const restMs = report.first ? 0 : LOOK_REST_FACTOR * report.durationMs;
    this.#restedAtMs = clock.now() + Math.max(LOOK_REST_MS, restMs);
    if (this.#isLookHinted) this.lookWhenRested();
    onLook(report);
  }

  async #flush(): Promise<void> {
    const { clock, onSync, reconciler } = this.#dependencies;
    const report = await reconciler.flush();
    this.#flushFromMs = clock.now() + (report.cut ? 0 : this.#options.minSyncPeriodMs);
    onSync(report);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#failures++;
      this.#pauseUntilMs = this.#dependencies.clock.now() + backoffMs(this.#failures);
      this.#dependencies.onFailure(error);
    }
  }

  async #sleep(ms: number): Promise<void> {
    const alarm = new AbortController();
    this.#wakeUp = () => alarm.abort();
    await this.#dependencies.clock.sleep(ms, alarm.signal);
  }
}
