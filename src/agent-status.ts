import type { AgentDependencies } from "./agent-dependencies.ts";
import type { Config } from "./config/config.ts";
import type { ServiceProblems } from "./desired/service-problems.ts";
import { ExternalChanges } from "./events/external-changes.ts";
import { ProblemReporter } from "./events/problem-reporter.ts";
import type { AgentReport } from "./explain/agent-report.ts";
import type { AgentTimes } from "./explain/service/service-view.ts";
import type { IPFamily } from "./model/address.ts";
import type { Problem } from "./model/cluster/problem.ts";
import type { ServiceName } from "./model/cluster/service.ts";
import { explanation } from "./model/explanation.ts";
import { dateOf, timeOf } from "./model/time/clock.ts";
import type { NodeDeficits } from "./node/node-preparation.ts";
import { version } from "./process/version.ts";
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
  unreadyReason,
} from "./serve/health.ts";
import type { ClusterEvent } from "./services/cluster-event.ts";
import { describeFailure, type FailedOperation } from "./sync/retry/failed-operation.ts";
import type { ReconcileState, ResyncReport, SyncReport } from "./sync/sync-report.ts";

/** Services whose problems are listed in one turn. */
const REPORTS_PER_TURN = 16;
/** The failures that a report names. */
const LISTED = 10;

/** Reports the state of the agent: health, metrics, and problems by log and Event. It makes no decisions. */
export class AgentStatus {
  readonly #dependencies: AgentDependencies;
  readonly #problems: ProblemReporter;
  readonly #externalChanges: ExternalChanges;
  readonly #startedAtMs: number;
  readonly #nodeName: string;
  #health: HealthFacts;
  #failures: readonly FailedOperation[] = [];
  #lastResync: (ResyncReport & { readonly endedAtMs: number }) | undefined;
  #state: ReconcileState | undefined;
  #warnings: readonly string[] = [];
  #sourceProblems: () => Iterable<Problem> = () => [];
  #problemsHere = 0;
  /** The changes of endpoints that are not programmed yet, and when they were made. */
  #changes: { readonly family: IPFamily; readonly atMs: number }[] = [];

  constructor(config: Config, families: readonly IPFamily[], dependencies: AgentDependencies) {
    this.#dependencies = dependencies;
    this.#problems = new ProblemReporter({ ...dependencies, ...config });
    this.#externalChanges = new ExternalChanges({ ...dependencies, ...config });
    this.#startedAtMs = dependencies.clock.now();
    this.#nodeName = config.nodeName;
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

  /** The operations for the Service that the kernel refuses, each with its cause. */
  failuresOf(service: ServiceName): readonly string[] {
    return this.#failures.filter(({ services }) => services.includes(service)).map(describeFailure);
  }

  /** The current problems of all objects that the source found. */
  sourceProblems(): Iterable<Problem> {
    return this.#sourceProblems();
  }

  /** When the agent worked last. */
  times(): AgentTimes {
    const { clock } = this.#dependencies;
    const unixMs = (atMs: number) => (atMs === 0 ? 0 : dateOf(atMs, clock).getTime());
    return {
      lastSyncUnixMs: unixMs(this.#health.lastSyncMs),
      lastResyncUnixMs: unixMs(this.#lastResync?.endedAtMs ?? 0),
      isPending: this.#health.oldestPendingMs !== 0,
    };
  }

  /** The state of the agent, for people and programs that ask. `missing` as for `probe`. */
  report(missing: string): AgentReport {
    const { clock } = this.#dependencies;
    const reason = unreadyReason({ ...this.#health, missing }, clock.now());
    const { desired, actual, foreignServers, drainingRealServers } = this.#state ?? {};
    return {
      node: this.#nodeName,
      version,
      uptimeSeconds: Math.round((clock.now() - this.#startedAtMs) / 1000),
      ready: reason === "",
      reason,
      ...this.times(),
      resyncMs: Math.round(this.#lastResync?.durationMs ?? 0),
      drift: this.#lastResync?.drift ?? [],
      ...(desired && { desired }),
      ...(actual && { actual }),
      foreignServers: foreignServers ?? 0,
      drainingRealServers: drainingRealServers ?? 0,
      failures: this.#failures.slice(0, LISTED).map(describeFailure),
      failedObjects: this.#state?.failedObjects ?? 0,
      nodeProblems: this.#warnings,
      objectProblems: [...this.#sourceProblems()].length + this.#problemsHere,
    };
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
  nodeLacks({ warnings, otherProxies, ...deficits }: NodeDeficits): void {
    this.#warnings = warnings;
    this.#problems.nodeWarnings(warnings);
    this.#problems.otherProxies(otherProxies);
    this.#health = healthAfterPrepare(this.#health, deficits);
  }

  /** Reports objects or fields that the source rejects: their number, the new ones, and how to get all. */
  rejectedAtSource(count: number, fresh: readonly Problem[], all: () => Iterable<Problem>): void {
    this.#sourceProblems = all;
    this.#problems.rejectedAtSource(count, fresh);
  }

  /** Reports the requests of Services that this node does not fulfil, in slices; stops when `isOutdated`. */
  async rejectedHere(refused: ServiceProblems, isOutdated: () => boolean): Promise<void> {
    let reports = 0;
    for (const changes of refused.takeChanges()) {
      this.#problemsHere = refused.size;
      this.#problems.rejectedHere(changes, refused.size);
      if (++reports % REPORTS_PER_TURN > 0) continue;
      await this.#dependencies.nextTurn();
      if (isOutdated()) return;
    }
  }

  /** A sync has ended. Returns whether it is the first complete one. */
  synced(report: SyncReport): boolean {
    const { clock, history, logger, metrics } = this.#dependencies;
    const wasSynced = this.#health.synced;
    this.#problems.kernelAnswered();
    this.#problems.operationsFailed(report.failures);
    // A sync that meets an object of another program corrects it as part of its own work.
    const lost = report.drift.filter(({ kind }) => kind === "missing");
    this.#externalChanges.found(lost, report.state.desired.virtualServers);
    this.#failures = report.failures.standing;
    this.#state = report.state;
    this.#health = healthAfterSync(this.#health, report);
    metrics.record(report);
    history?.record(report);
    const { durationMs, operations, pending, state } = report;
    logger.debug({ durationMs, operations, pending }, "synced");
    if (wasSynced || !this.#health.synced) return false;
    logger.info({ sinceStartMs: Math.round(clock.now() - this.#startedAtMs), ...state.actual }, "first sync complete");
    return true;
  }

  /** The kernel is programmed for all changes that were accepted. */
  programmed(): void {
    const { clock, history, metrics } = this.#dependencies;
    const nowMs = clock.now();
    for (const { family, atMs } of this.#changes) {
      metrics.recordProgrammed(family, nowMs - atMs);
      history?.recordProgrammed(family, nowMs - atMs);
    }
    this.#changes = [];
  }

  /** A resync has ended. */
  resynced(report: ResyncReport, state: ReconcileState): void {
    const { clock, history, metrics } = this.#dependencies;
    this.#problems.kernelAnswered();
    this.#lastResync = { ...report, endedAtMs: clock.now() };
    this.#state = state;
    this.#health = healthAfterResync(this.#health);
    metrics.recordResync(report);
    history?.recordResync(report);
    metrics.recordState(state);
    this.#externalChanges.found(report.drift, state.desired.virtualServers);
  }

  /** A request to the kernel has failed. */
  kernelFailed(error: unknown): void {
    this.#health = healthAfterFailure(this.#health, this.#dependencies.clock.now(), explanation(error));
    this.#problems.kernelFailed(error);
  }
}
