import type { RejectionChanges } from "../desired/refused.ts";
import type { Clock } from "../model/clock.ts";
import type { Notice } from "../model/cluster/notice.ts";
import type { Rejection } from "../model/cluster/service.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { Logger } from "../model/logger.ts";
import { ProblemTracker } from "../model/problem-tracker.ts";
import { describeFailure, type FailedOperation, missingScheduler } from "../sync/retry/failed-operation.ts";
import type { FailureReport } from "../sync/retry/failure-log.ts";
import { explanation, failedOperationNotice, kernelFailureNotice, nodeWarningNotice } from "./notices.ts";
import { RejectionReports } from "./rejection-reports.ts";

/** A node whose warnings change all the time writes no more than twice a minute. */
const LIMITS = { kept: 100, burst: 20, refillMs: 30_000 };

/** Counts problems. */
export interface ProblemMetrics {
  /** How many problems objects have now. */
  recordRejected(count: number): void;
  /** How many problems the node has now. */
  recordNodeProblems(count: number): void;
  /** A request to the kernel failed. */
  recordKernelFailure(): void;
}

export interface ProblemReporterDependencies {
  readonly nodeName: string;
  /** The scheduler of the node, which nothing replaces. */
  readonly scheduler: Scheduler;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  readonly metrics: ProblemMetrics;
  readonly tell: (notice: Notice) => void;
}

/**
 * Reports what is wrong, by log, Event and metric. Each problem is reported when it begins or changes, and logged once
 * more when it ends; what goes on in between is for the metrics and `/readyz`.
 */
export class ProblemReporter {
  readonly #parts: ProblemReporterDependencies;
  readonly #node = new ProblemTracker<string>(LIMITS);
  readonly #kernel = new ProblemTracker<unknown>(LIMITS);
  readonly #reports: RejectionReports;
  #rejectedAtSource = 0;
  #rejectedHere = 0;

  constructor(dependencies: ProblemReporterDependencies) {
    this.#parts = dependencies;
    this.#reports = new RejectionReports(dependencies.nodeName, dependencies);
  }

  /** Objects of the source, or fields of them, that cannot be used: how many they are, and those that are new. */
  rejectedAtSource(count: number, fresh: readonly Rejection[]): void {
    this.#rejectedAtSource = count;
    this.#reportRejections(fresh, []);
  }

  /** What has changed of what Services ask of this node and do not get, and how much that is in all. */
  rejectedHere({ begun, ended }: RejectionChanges, count: number): void {
    this.#rejectedHere = count;
    this.#reportRejections(begun, ended);
  }

  /** All that the node lacks, after an attempt to make it ready. */
  nodeWarnings(warnings: readonly string[]): void {
    const { nodeName, clock, logger, metrics, tell } = this.#parts;
    this.#node.replace(warnings.map((warning) => [warning, warning]));
    metrics.recordNodeProblems(this.#node.size);
    const { begun, ended } = this.#node.takeChanges(clock.now());
    for (const warning of begun) {
      logger.warn({ warning }, "node not as wanted");
      tell(nodeWarningNotice(nodeName, warning));
    }
    for (const warning of ended) logger.info({ warning }, "no longer a problem of the node");
  }

  /** A request to the kernel failed or was not answered. */
  kernelFailed(error: unknown): void {
    const { nodeName, clock, logger, metrics, tell } = this.#parts;
    metrics.recordKernelFailure();
    this.#kernel.set("kernel", explanation(error), error);
    for (const failure of this.#kernel.takeChanges(clock.now()).begun) {
      logger.error({ err: failure }, "kernel request failed; will resync");
      tell(kernelFailureNotice(nodeName, failure));
    }
  }

  /** The kernel has answered everything since the last failure. */
  kernelAnswered(): void {
    this.#kernel.clear("kernel");
    const { ended } = this.#kernel.takeChanges(this.#parts.clock.now());
    for (const _ of ended) this.#parts.logger.info({}, "the kernel answers again");
  }

  /** What the kernel refuses, after a sync. */
  operationsFailed({ begun, ended }: FailureReport): void {
    const { nodeName, clock, logger, tell } = this.#parts;
    for (const failure of begun) {
      if (this.#isReplaced(failure)) continue;
      const { operation, errno, services } = failure;
      const text = describeFailure(failure);
      logger.warn({ failure: text, operation: operation.kind, errno, services }, "operation failed");
      for (const service of services.length > 0 ? services : [undefined])
        tell(failedOperationNotice(nodeName, service, text));
    }
    for (const failure of ended) {
      if (this.#isReplaced(failure)) continue;
      const { services, attempts, sinceMs } = failure;
      const lastedMs = Math.round(clock.now() - sinceMs);
      logger.info({ failure: describeFailure(failure), services, attempts, lastedMs }, "operation no longer fails");
    }
  }

  /** A Service's own scheduler that this kernel lacks is replaced at once, which is reported as a rejection. */
  #isReplaced(failure: FailedOperation): boolean {
    const missing = missingScheduler(failure);
    return missing !== undefined && missing !== this.#parts.scheduler;
  }

  #reportRejections(begun: readonly Rejection[], ended: readonly Rejection[]): void {
    this.#reports.report(begun, ended);
    this.#parts.metrics.recordRejected(this.#rejectedAtSource + this.#rejectedHere);
  }
}
