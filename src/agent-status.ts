import type { AgentDependencies } from "./agent-dependencies.ts";
import type { Config } from "./config/config.ts";
import type { ServiceProblems } from "./desired/service-problems.ts";
import { ProblemReporter } from "./events/problem-reporter.ts";
import type { IPFamily } from "./model/address.ts";
import type { Problem } from "./model/cluster/problem.ts";
import { timeOf } from "./model/time/clock.ts";
import type { NodeDeficits } from "./node/node-preparation.ts";
import {
  answerProbe,
  type HealthAnswer,
  type HealthFacts,
  healthAfterFailure,
  healthAfterPrepare,
  healthAfterRequest,
  healthAfterResync,
  healthAfterSync,
  healthAtStart,
  type Probe,
} from "./serve/health.ts";
import type { ClusterEvent } from "./services/cluster-event.ts";
import type { ReconcileState, ResyncReport, SyncReport } from "./sync/sync-report.ts";

/** Services whose problems are listed in one turn. */
const REPORTS_PER_TURN = 16;

/** Reports the state of the agent: health, metrics, and problems by log and Event. It makes no decisions. */
export class AgentStatus {
  readonly #dependencies: AgentDependencies;
  readonly #problems: ProblemReporter;
  readonly #startedAtMs: number;
  #health: HealthFacts;
  /** The changes of endpoints that are not programmed yet, and when they were made. */
  #changes: { readonly family: IPFamily; readonly atMs: number }[] = [];

  constructor(config: Config, families: readonly IPFamily[], dependencies: AgentDependencies) {
    this.#dependencies = dependencies;
    this.#problems = new ProblemReporter({ ...dependencies, ...config });
    this.#startedAtMs = dependencies.clock.now();
    this.#health = healthAtStart({
      families,
      syncPeriodMs: config.syncPeriodMs,
      startedAtMs: this.#startedAtMs,
      node: undefined,
    });
  }

  /** Uses the sync period and the scheduler of another configuration. */
  reconfigure({ syncPeriodMs, scheduler }: Config): void {
    this.#health = { ...this.#health, syncPeriodMs };
    this.#problems.setScheduler(scheduler);
  }

  /** Whether the first sync is complete: everything is programmed except failed objects. */
  get isSynced(): boolean {
    return this.#health.synced;
  }

  /** Returns the answer of a health endpoint, and counts it. `missing`: text with the first lists that are not complete. */
  probe(probe: Probe, missing: string): HealthAnswer {
    const answer = this.answer(probe, missing);
    this.#dependencies.metrics.recordProbe(probe, answer);
    return answer;
  }

  /** As `probe`, without counting. */
  answer(probe: Probe, missing: string): HealthAnswer {
    const { clock } = this.#dependencies;
    return answerProbe(probe, { ...this.#health, missing }, clock, -clock.date().getTimezoneOffset());
  }

  /** The source sent an event that affects this number of Services. */
  accepted(event: ClusterEvent, touched: number): void {
    const { clock, metrics } = this.#dependencies;
    switch (event.kind) {
      case "service-upserted":
      case "service-deleted":
        metrics.recordChange("service");
        break;
      case "slice-upserted": {
        metrics.recordChange("endpoint");
        // Converted at its arrival, because the wall clock may be changed before the kernel is programmed.
        const atMs = timeOf(event.slice.changedAtUnixMs, clock);
        if (touched > 0 && atMs > this.#startedAtMs) this.#changes.push({ family: event.slice.family, atMs });
        break;
      }
      case "slice-deleted":
        metrics.recordChange("endpoint");
        break;
      case "node-upserted":
      case "node-deleted":
      case "servicecidr-upserted":
      case "servicecidr-deleted":
      case "listed":
        break;
    }
  }

  /** Work for the next sync was marked. */
  requested(): void {
    const nowMs = this.#dependencies.clock.now();
    this.#health = healthAfterRequest(this.#health, nowMs);
    this.#dependencies.metrics.recordRequest(nowMs);
  }

  /** The Node object of this node has changed; undefined: unknown. */
  nodeIs(node: HealthFacts["node"]): void {
    this.#health = { ...this.#health, node };
  }

  /** The preparation of the node has ended with these deficits. */
  nodeLacks({ warnings, ...deficits }: NodeDeficits): void {
    this.#problems.nodeWarnings(warnings);
    this.#health = healthAfterPrepare(this.#health, deficits);
  }

  /** Reports objects or fields that the source rejects: their number, and the new ones. */
  rejectedAtSource(count: number, fresh: readonly Problem[]): void {
    this.#problems.rejectedAtSource(count, fresh);
  }

  /** Reports the requests of Services that this node does not fulfil, in slices; stops when `isOutdated`. */
  async rejectedHere(refused: ServiceProblems, isOutdated: () => boolean): Promise<void> {
    let reports = 0;
    for (const changes of refused.takeChanges()) {
      this.#problems.rejectedHere(changes, refused.size);
      if (++reports % REPORTS_PER_TURN > 0) continue;
      await this.#dependencies.nextTurn();
      if (isOutdated()) return;
    }
  }

  /** A sync has ended. Returns whether it is the first complete one. */
  synced(report: SyncReport): boolean {
    const { clock, logger, metrics } = this.#dependencies;
    const wasSynced = this.#health.synced;
    this.#problems.kernelAnswered();
    this.#problems.operationsFailed(report.failures);
    this.#health = healthAfterSync(this.#health, report);
    metrics.record(report);
    const { durationMs, operations, pending, state } = report;
    logger.debug({ durationMs, operations, pending }, "synced");
    if (wasSynced || !this.#health.synced) return false;
    logger.info({ sinceStartMs: Math.round(clock.now() - this.#startedAtMs), ...state.actual }, "first sync complete");
    return true;
  }

  /** The kernel is programmed for all changes that were accepted. */
  programmed(): void {
    const nowMs = this.#dependencies.clock.now();
    for (const { family, atMs } of this.#changes) this.#dependencies.metrics.recordProgrammed(family, nowMs - atMs);
    this.#changes = [];
  }

  /** A resync has ended. */
  resynced(report: ResyncReport, state: ReconcileState): void {
    const { logger, metrics } = this.#dependencies;
    this.#problems.kernelAnswered();
    this.#health = healthAfterResync(this.#health);
    metrics.recordResync(report);
    metrics.recordState(state);
    if (report.drift.length > 0)
      logger.warn({ drift: report.drift }, "the kernel state differs from the last sync: another process changed it");
  }

  /** A request to the kernel has failed. */
  kernelFailed(error: unknown): void {
    this.#health = healthAfterFailure(this.#health, this.#dependencies.clock.now());
    this.#problems.kernelFailed(error);
  }
}
