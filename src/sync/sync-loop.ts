import { KernelError } from "../model/kernel/kernel-error.ts";
import type { Keys } from "../model/kernel/keys.ts";
import type { Clock } from "../model/time/clock.ts";
import { DriftCounts } from "./operation-counts.ts";
import type { Reconciler } from "./reconciler.ts";
import type { SyncStart } from "./reconciler-options.ts";
import { ResyncSchedule } from "./resync-schedule.ts";
import { backoffMs } from "./retry/retry-queue.ts";
import type { ResyncReport, SyncReport } from "./sync-report.ts";

const NOTHING = (): void => {};

export interface SyncLoopOptions {
  /** From the end of one sync to the begin of the next, unless the first was cut short. */
  readonly minSyncPeriodMs: number;
  /** From one check of the node to the next, and from one resync to the next if it is cheap; give or take a tenth. */
  readonly syncPeriodMs: number;
}

export interface SyncLoopDependencies {
  readonly reconciler: Pick<Reconciler, "isKnown" | "workAtMs" | "mark" | "prepare" | "resync" | "sync">;
  readonly clock: Clock;
  /** The CPU time that this process has used, its own and the kernel's on its behalf. */
  readonly cpuMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Whether another service proxy works on this node. Drift is then repaired less and less often, else neither would ever rest. */
  readonly isContested?: () => boolean;
  readonly onSync: (report: SyncReport) => void;
  readonly onResync: (report: ResyncReport) => void;
  /** The kernel did not answer. The loop tries again after a wait that doubles from a second to a minute. */
  readonly onFailure: (error: KernelError) => void;
}

/**
 * Schedules all work on the kernel, and is the only owner of the rule which work may run when. There are two kinds: a *resync*
 * reads the whole kernel, which takes seconds where there are many objects; a *sync* writes what differs from the desired state.
 * So that reading costs a bounded share of a CPU at any size, the time to the next resync grows with the CPU time of the last one.
 * Meanwhile *checks* prepare the node in every sync period: its rules, sysctls, sets and interface are few.
 *
 * The loop is *closed* until `open`: resyncs run, nothing is marked, and no sync can run, because a half-known desired state
 * would delete what it does not know yet. It never closes again. What runs is one of:
 *
 * - *idle*: nothing. At the begin, every sync period, on request and after an external change the loop becomes *resyncing*; when
 *   work is due and the minimum period allows, it becomes *syncing*.
 * - *syncing*: one sync, which is waited for. A sync whose kernel state is unknown first waits for the resync that is running, or
 *   else begins with a resync of its own. Then *idle*.
 * - *checking*: as resyncing, without reading the objects of Services.
 * - *resyncing*: one resync. It takes over what it has read only at moments when no sync is running. Syncs may run beside it
 *   (*both*), but not while the kernel state is unknown, and not beside or before a resync that was requested: the node has to be
 *   made ready first. Then *idle*.
 * - *paused*: the kernel did not answer. Nothing begins until the wait is over, then as *idle*.
 *
 * Between these the loop sleeps; `mark`, `open` and the two requests for a resync wake it.
 */
export class SyncLoop {
  #options: SyncLoopOptions;
  readonly #dependencies: SyncLoopDependencies;
  #isOpen = false;
  /** The sync that is running. Never rejects. */
  #syncing: Promise<unknown> | undefined;
  /** The resync that is running. Never rejects. */
  #resyncing: Promise<unknown> | undefined;
  /** The resync that `run` began, with its report and the handling of its failure. Never rejects. */
  #background: Promise<void> | undefined;
  /** What the background threw that is no failure of the kernel. */
  #bug: { readonly error: unknown } | undefined;
  readonly #schedule: ResyncSchedule;
  #syncFromMs = 0;
  /** After failures nothing begins before. */
  #pauseUntilMs = 0;
  #failures = 0;
  #wakeUp: () => void = NOTHING;

  constructor(options: SyncLoopOptions, dependencies: SyncLoopDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    const { clock, random } = dependencies;
    this.#schedule = new ResyncSchedule(options.syncPeriodMs, () => clock.now(), random);
  }

  /** From now on syncs may write: all that is desired is known. The first sync compares everything. */
  open(): void {
    this.#isOpen = true;
    this.#wake();
  }

  /** Uses other periods. What is due next is due by the new ones. */
  reconfigure(options: SyncLoopOptions): void {
    this.#options = options;
    this.#schedule.reconfigure(options.syncPeriodMs);
    this.#wake();
  }

  /** The desired state of these objects has changed; see `Reconciler.mark`. Ignored before `open`. */
  mark(keys: Keys, atMs: number = this.#dependencies.clock.now()): void {
    if (!this.#isOpen) return;
    this.#dependencies.reconciler.mark(keys, atMs);
    this.#wake();
  }

  /** Resyncs before anything else is done: the conditions of the last resync no longer hold. */
  requestResync(): void {
    this.#schedule.request();
    this.#wake();
  }

  /** Another process may have changed the kernel: resyncs as soon as the rest after the last resync allows. */
  resyncAfterExternalChange(): void {
    this.#schedule.requestAfterRest();
    this.#wake();
  }

  /** When a sync is due: in the past when now, Infinity when nothing waits. */
  workAtMs(): number {
    return this.#isOpen ? this.#dependencies.reconciler.workAtMs() : Number.POSITIVE_INFINITY;
  }

  /** Runs until the signal aborts; what was begun is finished. Rejects on bugs only. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#dependencies;
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake);
    while (!signal.aborted && this.#bug === undefined) {
      const nowMs = clock.now();
      const resyncAtMs = this.#nextResyncMs();
      const checkAtMs = this.#nextCheckMs();
      const syncAtMs = this.#nextSyncMs();
      if (nowMs >= resyncAtMs) await this.#beginResync();
      else if (nowMs >= checkAtMs) this.#begin(() => this.#check());
      else if (nowMs >= syncAtMs) await this.#attempt(() => this.#syncAndReport());
      else await this.#sleep(Math.min(resyncAtMs, checkAtMs, syncAtMs, nowMs + this.#options.syncPeriodMs) - nowMs);
    }
    signal.removeEventListener("abort", wake);
    await this.#background;
    if (this.#bug !== undefined) throw this.#bug.error;
  }

  /**
   * Syncs now. Throws before `open`, and rejects when another sync is running: both are bugs. Rejects as the kernel does; nothing
   * is lost by that, the next sync begins with a resync.
   */
  sync(): Promise<SyncReport> {
    if (!this.#isOpen) throw new Error("Cannot sync before open: not all that is desired is known yet");
    return this.#syncFrom({ startedAtMs: this.#dependencies.clock.now(), drift: new DriftCounts() });
  }

  /** Resyncs now. Rejects as the kernel does, and when another resync is running: that is a bug. */
  async resync(drift?: DriftCounts): Promise<ResyncReport> {
    if (this.#resyncing !== undefined) throw new Error("Cannot resync: another resync is running");
    const resync = this.#dependencies.reconciler.resync((act) => this.#betweenSyncs(act), drift);
    this.#resyncing = resync.catch(() => {});
    try {
      return await resync;
    } finally {
      this.#resyncing = undefined;
    }
  }

  async #syncFrom(start: SyncStart): Promise<SyncReport> {
    const { reconciler } = this.#dependencies;
    while (!reconciler.isKnown) {
      while (this.#resyncing !== undefined) await this.#resyncing;
      if (!reconciler.isKnown) await this.resync(start.drift);
    }
    if (this.#syncing !== undefined) throw new Error("Cannot sync: another sync is running");
    const sync = reconciler.sync(start);
    this.#syncing = sync.catch(() => {});
    try {
      return await sync;
    } finally {
      this.#syncing = undefined;
    }
  }

  /** No sync can begin before `act` has returned, because `act` is synchronous. */
  async #betweenSyncs<Result>(act: () => Result): Promise<Result> {
    while (this.#syncing !== undefined) await this.#syncing;
    return act();
  }

  #nextResyncMs(): number {
    if (this.#background !== undefined) return Number.POSITIVE_INFINITY;
    return Math.max(this.#schedule.resyncAtMs, this.#pauseUntilMs);
  }

  #nextCheckMs(): number {
    if (this.#background !== undefined) return Number.POSITIVE_INFINITY;
    return Math.max(this.#schedule.checkAtMs, this.#pauseUntilMs);
  }

  #nextSyncMs(): number {
    const mustResync =
      this.#schedule.isResyncRequested || (this.#background !== undefined && !this.#dependencies.reconciler.isKnown);
    if (mustResync) return Number.POSITIVE_INFINITY;
    return Math.max(this.workAtMs(), this.#syncFromMs, this.#pauseUntilMs);
  }

  /** A resync that was requested is waited for. */
  async #beginResync(): Promise<void> {
    const isRequested = this.#schedule.isResyncRequested;
    this.#begin(() => this.#resyncAndReport());
    if (isRequested) await this.#background;
  }

  #begin(work: () => Promise<void>): void {
    this.#background = this.#attempt(work)
      .catch((error: unknown) => {
        this.#bug = { error };
      })
      .finally(() => {
        this.#background = undefined;
        this.#wake();
      });
  }

  /** Prepares the node. If that fails, the next check comes as soon as the loop is not paused any more. */
  async #check(): Promise<void> {
    await this.#dependencies.reconciler.prepare();
    this.#schedule.planCheck();
  }

  async #resyncAndReport(): Promise<void> {
    const { cpuMs, onResync, isContested } = this.#dependencies;
    this.#schedule.begin();
    const cpuBeforeMs = cpuMs();
    const report = await this.resync();
    this.#schedule.end({
      durationMs: report.durationMs,
      cpuMs: cpuMs() - cpuBeforeMs,
      first: report.first,
      isContested: report.drift.length > 0 && isContested?.() === true,
    });
    onResync(report);
  }

  async #syncAndReport(): Promise<void> {
    const report = await this.sync();
    this.#syncFromMs = this.#dependencies.clock.now() + (report.cut ? 0 : this.#options.minSyncPeriodMs);
    this.#dependencies.onSync(report);
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

  /** Once for each sleep: to abort a signal makes an error with a stack, which a cold start would do 10,000 times. */
  #wake(): void {
    const wakeUp = this.#wakeUp;
    this.#wakeUp = NOTHING;
    wakeUp();
  }

  async #sleep(ms: number): Promise<void> {
    const alarm = new AbortController();
    this.#wakeUp = () => alarm.abort();
    await this.#dependencies.clock.sleep(ms, alarm.signal);
  }
}
