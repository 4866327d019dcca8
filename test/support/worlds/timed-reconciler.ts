import { expect } from "vitest";
import { KernelError } from "../../../src/model/kernel/kernel-error.ts";
import { NO_KEYS } from "../../../src/model/kernel/keys.ts";
import type { BetweenSyncs } from "../../../src/sync/resync/actual-state-reader.ts";
import { SyncLoop } from "../../../src/sync/sync-loop.ts";
import type { SyncReport } from "../../../src/sync/sync-report.ts";
import { HandClock } from "../api/worlds/hand-clock.ts";
import { syncReport } from "../objects/sync-reports.ts";

/** A reconciler that only records the times of its calls. It can take long, be cut, or fail. */
export class TimedReconciler {
  readonly log: string[] = [];
  workMs = Number.POSITIVE_INFINITY;
  syncTakesMs = 0;
  resyncTakesMs = 0;
  /** The CPU time that each resync uses. */
  resyncCostsMs = 0;
  usedMs = 0;
  cuts = 0;
  failures = 0;
  /** The numbers of missing set members that each resync finds. */
  finds: readonly number[] = [];
  bug: Error | undefined;
  readonly running = new Set<string>();
  /** Whether a resync has succeeded since the last failure. */
  isKnown = false;
  /** Called at the end of a resync, as soon as no sync is running. */
  onTakenOver: () => void = () => {};
  readonly #clock: HandClock;
  readonly #startMs: number;

  constructor(clock: HandClock) {
    this.#clock = clock;
    this.#startMs = clock.now();
  }

  workAtMs(): number {
    return this.workMs;
  }

  mark(): void {
    this.workMs = 0;
  }

  async prepare(): Promise<void> {
    await this.#begin("check", 0);
  }

  async resync(betweenSyncs: BetweenSyncs) {
    this.usedMs += this.resyncCostsMs;
    await this.#begin("resync", this.resyncTakesMs);
    await betweenSyncs(() => this.onTakenOver());
    this.isKnown = true;
    const drift = this.finds.map((count) => ({ object: "entry" as const, kind: "missing" as const, count }));
    return { durationMs: this.resyncTakesMs, first: this.log.length === 1, drift };
  }

  async sync(): Promise<SyncReport> {
    this.workMs = Number.POSITIVE_INFINITY;
    await this.#begin("sync", this.syncTakesMs);
    if (this.cuts === 0) return syncReport();
    this.cuts--;
    this.workMs = 0;
    return syncReport({ cut: true });
  }

  async #begin(what: string, ms: number): Promise<void> {
    this.log.push(`${what} ${this.#clock.now() - this.#startMs}`);
    expect(this.running.has(what), "one at a time").toBe(false);
    this.running.add(what);
    if (ms > 0) await this.#clock.sleep(ms, new AbortController().signal);
    this.running.delete(what);
    if (this.bug !== undefined) throw this.bug;
    if (this.failures === 0) return;
    this.failures--;
    this.isKnown = false;
    throw new KernelError("kernel request failed");
  }
}

/** A loop around such a reconciler, and what it reports. */
export function start({
  random = 0.5,
  failures: failing = 0,
  resyncTakesMs = 0,
  resyncCostsMs = 0,
  isOpen = true,
  isContested = false,
} = {}) {
  const clock = new HandClock();
  const reconciler = new TimedReconciler(clock);
  reconciler.failures = failing;
  reconciler.resyncTakesMs = resyncTakesMs;
  reconciler.resyncCostsMs = resyncCostsMs;
  const stop = new AbortController();
  const failures: unknown[] = [];
  const reports: unknown[] = [];
  const loop = new SyncLoop(
    { minSyncPeriodMs: 1_000, syncPeriodMs: 30_000 },
    {
      reconciler,
      clock,
      cpuMs: () => reconciler.usedMs,
      random: () => random,
      isContested: () => isContested,
      onSync: (report) => reports.push(report),
      onResync: (report) => reports.push(report),
      onFailure: (error) => failures.push(error),
    },
  );
  if (isOpen) loop.open();
  const ended = loop.run(stop.signal);
  const request = () => loop.mark(NO_KEYS, clock.now());
  return { clock, reconciler, stop, failures, reports, ended, request, loop };
}
