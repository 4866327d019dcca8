import type { EventRecord } from "../model/cluster/event-record.ts";
import type { Problem } from "../model/cluster/problem.ts";
import { explanation } from "../model/explanation.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { Logger } from "../model/logger.ts";
import { type ProblemChanges, ProblemTracker } from "../model/problem-tracker.ts";
import type { Clock } from "../model/time/clock.ts";
import { describeFailure, type FailedOperation, missingScheduler } from "../sync/retry/failed-operation.ts";
import type { FailureReport } from "../sync/retry/failure-log.ts";
import { failedOperationEvent, kernelFailureEvent, nodeWarningEvent, otherProxyEvent } from "./event-records.ts";
import { ObjectReports } from "./object-reports.ts";

/** If its problems change all the time, a node reports two per minute. */
const LIMITS = { kept: 100, burst: 20, refillMs: 30_000 };

/** The metrics of problems. */
export interface ProblemMetrics {
  /** Sets the number of problems that objects have now. */
  recordRejected(count: number): void;
  /** Sets the number of problems that the node has now. */
  recordNodeProblems(count: number): void;
  /** Sets the number of other service proxies that work on the node now. */
  recordOtherProxies(count: number): void;
  /** Counts a failed request to the kernel. */
  recordKernelFailure(): void;
}

export interface ProblemReporterDependencies {
  readonly nodeName: string;
  /** The scheduler of the node, for which there is no replacement. */
  readonly scheduler: Scheduler;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  readonly metrics: ProblemMetrics;
  readonly recordEvent: (event: EventRecord) => void;
}

/**
 * Reports problems by log, Event and metric. A problem is reported when it begins or changes and is logged when it ends.
 * Between the two, only metrics and `/readyz` show it.
 */
export class ProblemReporter {
  readonly #dependencies: ProblemReporterDependencies;
  #scheduler: Scheduler;
  readonly #node = new ProblemTracker<string>(LIMITS);
  readonly #proxies = new ProblemTracker<string>(LIMITS);
  readonly #kernel = new ProblemTracker<unknown>(LIMITS);
  readonly #reports: ObjectReports;
  #rejectedAtSource = 0;
  #rejectedHere = 0;

  constructor(dependencies: ProblemReporterDependencies) {
    this.#dependencies = dependencies;
    this.#scheduler = dependencies.scheduler;
    this.#reports = new ObjectReports(dependencies.nodeName, dependencies);
  }

  /** Sets the scheduler of the node. */
  setScheduler(scheduler: Scheduler): void {
    this.#scheduler = scheduler;
  }

  /** Reports invalid objects and fields that the source found: their number, and the new ones. */
  rejectedAtSource(count: number, fresh: readonly Problem[]): void {
    this.#rejectedAtSource = count;
    this.#reportProblems(fresh, []);
  }

  /** Reports requests of Services that this node does not serve: the changes, and the number after them. */
  rejectedHere({ begun, ended }: ProblemChanges<Problem>, count: number): void {
    this.#rejectedHere = count;
    this.#reportProblems(begun, ended);
  }

  /** Reports the warnings of the last node preparation. `warnings` replaces all earlier ones. */
  nodeWarnings(warnings: readonly string[]): void {
    const { nodeName, clock, logger, metrics, recordEvent } = this.#dependencies;
    this.#node.replace(warnings.map((warning) => [warning, warning]));
    metrics.recordNodeProblems(this.#node.size);
    const { begun, ended } = this.#node.takeChanges(clock.now());
    for (const warning of begun) {
      logger.warn({ warning }, "node preparation failed");
      recordEvent(nodeWarningEvent(nodeName, warning));
    }
    for (const warning of ended) logger.info({ warning }, "node preparation no longer fails");
  }

  /** Reports the other service proxies that work on this node. `found` replaces all earlier ones. */
  otherProxies(found: readonly string[]): void {
    const { nodeName, clock, logger, metrics, recordEvent } = this.#dependencies;
    this.#proxies.replace(found.map((text) => [text, text]));
    metrics.recordOtherProxies(this.#proxies.size);
    const { begun, ended } = this.#proxies.takeChanges(clock.now());
    for (const warning of begun) {
      logger.warn({ warning }, "another service proxy works on this node");
      recordEvent(otherProxyEvent(nodeName, warning));
    }
    for (const warning of ended) logger.info({ warning }, "another service proxy has left no traces for a while");
  }

  /** Reports a request to the kernel that failed or got no answer. */
  kernelFailed(error: unknown): void {
    const { nodeName, clock, logger, metrics, recordEvent } = this.#dependencies;
    metrics.recordKernelFailure();
    this.#kernel.set("kernel", explanation(error), error);
    for (const failure of this.#kernel.takeChanges(clock.now()).begun) {
      logger.error({ err: failure }, "kernel request failed; will resync");
      recordEvent(kernelFailureEvent(nodeName, failure));
    }
  }

  /** Reports the end of a kernel failure: the kernel has answered all requests since. */
  kernelAnswered(): void {
    this.#kernel.clear("kernel");
    const { ended } = this.#kernel.takeChanges(this.#dependencies.clock.now());
    for (const _ of ended) this.#dependencies.logger.info({}, "kernel requests succeed again");
  }

  /** Reports the operations that the kernel refused in a sync, and those that no longer fail. */
  operationsFailed({ begun, ended }: FailureReport): void {
    const { nodeName, clock, logger, recordEvent } = this.#dependencies;
    for (const failure of begun) {
      if (this.#isReplaced(failure)) continue;
      const { operation, errno, services } = failure;
      const text = describeFailure(failure);
      logger.warn({ failure: text, operation: operation.kind, errno, services }, "operation failed");
      for (const service of services.length > 0 ? services : [undefined])
        recordEvent(failedOperationEvent(nodeName, service, text));
    }
    for (const failure of ended) {
      if (this.#isReplaced(failure)) continue;
      const { services, attempts, sinceMs } = failure;
      const lastedMs = Math.round(clock.now() - sinceMs);
      logger.info({ failure: describeFailure(failure), services, attempts, lastedMs }, "operation no longer fails");
    }
  }

  /** Whether the failure is reported as a problem: a Service's scheduler that this kernel lacks, which is replaced. */
  #isReplaced(failure: FailedOperation): boolean {
    const missing = missingScheduler(failure);
    return missing !== undefined && missing !== this.#scheduler;
  }

  #reportProblems(begun: readonly Problem[], ended: readonly Problem[]): void {
    this.#reports.report(begun, ended);
    this.#dependencies.metrics.recordRejected(this.#rejectedAtSource + this.#rejectedHere);
  }
}
