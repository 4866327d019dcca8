import type { EventRecord } from "../model/cluster/event-record.ts";
import { type Problem, problemFields } from "../model/cluster/problem.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import { TokenBucket } from "../model/time/token-bucket.ts";
import { problemEvent } from "./event-records.ts";

/** The number of reports about one object without a pause. The two full lists of a Service have 22 problems. */
const OBJECT_BURST = 25;
/** The time between two reports about one object after the burst. */
const OBJECT_REFILL_MS = 30_000;
/** The number of reports about all objects without a pause. */
const ALL_BURST = 1_000;
/** The time between two reports after that burst. A log line has some 300 bytes, which makes 26 MB a day. */
const ALL_REFILL_MS = 1_000;
/** The time between two lines with the number of reports that were left out. */
const SUMMARY_MS = 60_000;
/** The number of objects whose rate is kept. The object that was reported longest ago is forgotten first. */
const OBJECTS = 4_096;

/** The dependencies of ObjectReports. */
export interface ObjectReportsDependencies {
  readonly clock: Pick<Clock, "now">;
  readonly logger: Pick<Logger, "warn" | "info">;
  readonly recordEvent: (event: EventRecord) => void;
}

/**
 * Reports problems by log and Event, at a limited rate for each object and for all objects. Without the limit, one
 * Service that changes all the time or 10,000 invalid Services would fill the disks of all nodes. The log has the number
 * of reports that were left out, and `kube-ipvs plan` lists all problems.
 */
export class ObjectReports {
  readonly #nodeName: string;
  readonly #dependencies: ObjectReportsDependencies;
  /** In the order of the last report. */
  readonly #byObject = new Map<string, TokenBucket>();
  readonly #all = new TokenBucket(ALL_BURST, ALL_REFILL_MS);
  readonly #summaries = new TokenBucket(1, SUMMARY_MS);
  #leftOut = 0;

  constructor(nodeName: string, dependencies: ObjectReportsDependencies) {
    this.#nodeName = nodeName;
    this.#dependencies = dependencies;
  }

  /** Reports the problems that began and those that ended. */
  report(begun: readonly Problem[], ended: readonly Problem[]): void {
    const { clock, logger, recordEvent } = this.#dependencies;
    const nowMs = clock.now();
    for (const problem of begun) {
      const fields = problemFields(problem);
      if (!this.#mayReport(fields.object, nowMs)) continue;
      logger.warn({ ...fields }, "rejected");
      recordEvent(problemEvent(this.#nodeName, problem));
    }
    for (const problem of ended) {
      const fields = problemFields(problem);
      if (this.#mayReport(fields.object, nowMs)) logger.info({ ...fields }, "no longer rejected");
    }
    if (this.#leftOut === 0 || this.#summaries.readyAtMs(nowMs) > nowMs) return;
    this.#summaries.take(nowMs);
    logger.warn({ leftOut: this.#leftOut }, "problems were not logged; list all with kube-ipvs plan");
    this.#leftOut = 0;
  }

  /** Whether the rates allow a report about the object. If not, counts it as left out. */
  #mayReport(object: string, nowMs: number): boolean {
    const own = this.#byObject.get(object) ?? new TokenBucket(OBJECT_BURST, OBJECT_REFILL_MS);
    this.#byObject.delete(object);
    this.#byObject.set(object, own);
    const [oldest] = this.#byObject.keys();
    if (this.#byObject.size > OBJECTS && oldest !== undefined) this.#byObject.delete(oldest);
    if (own.readyAtMs(nowMs) > nowMs || this.#all.readyAtMs(nowMs) > nowMs) {
      this.#leftOut++;
      return false;
    }
    own.take(nowMs);
    this.#all.take(nowMs);
    return true;
  }
}
