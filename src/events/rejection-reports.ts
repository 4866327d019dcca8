import type { Clock } from "../model/clock.ts";
import type { Notice } from "../model/cluster/notice.ts";
import type { Rejection } from "../model/cluster/service.ts";
import type { Logger } from "../model/logger.ts";
import { TokenBucket } from "../model/token-bucket.ts";
import { rejectionNotice } from "./notices.ts";

/** Reports about one object that may follow each other, and the time between two after that. Two full lists are 22. */
const OBJECT_BURST = 25;
const OBJECT_REFILL_MS = 30_000;
/** The same for all objects together: a line is some 300 bytes, so that a day of them is 26 MB. */
const ALL_BURST = 1_000;
const ALL_REFILL_MS = 1_000;
/** Between two lines that say how many were left out. */
const SUMMARY_MS = 60_000;
/** Objects of which the reports are counted. The one that was reported longest ago is forgotten. */
const OBJECTS = 4_096;

/** Where reports go, and whose time counts. */
export interface ReportParts {
  readonly clock: Pick<Clock, "now">;
  readonly logger: Pick<Logger, "warn" | "info">;
  readonly tell: (notice: Notice) => void;
}

/**
 * Logs what cannot be done and makes Events of it, at a limited rate for each object and for all: one Service that is
 * written again and again, or 10,000 wrong ones, would else fill the disks of all nodes. What is left out is counted in the
 * log, and `kube-ipvs plan` lists what is wrong with every object.
 */
export class RejectionReports {
  readonly #nodeName: string;
  readonly #parts: ReportParts;
  /** The one that was reported last is the last. */
  readonly #byObject = new Map<string, TokenBucket>();
  readonly #all = new TokenBucket(ALL_BURST, ALL_REFILL_MS);
  readonly #summaries = new TokenBucket(1, SUMMARY_MS);
  #leftOut = 0;

  constructor(nodeName: string, parts: ReportParts) {
    this.#nodeName = nodeName;
    this.#parts = parts;
  }

  /** Takes in what cannot be done since now, and what no longer is so. */
  report(begun: readonly Rejection[], ended: readonly Rejection[]): void {
    const { clock, logger, tell } = this.#parts;
    const nowMs = clock.now();
    for (const rejection of begun) {
      if (!this.#mayReport(rejection.object, nowMs)) continue;
      logger.warn({ ...rejection }, "rejected");
      tell(rejectionNotice(this.#nodeName, rejection));
    }
    for (const rejection of ended) {
      if (this.#mayReport(rejection.object, nowMs)) logger.info({ ...rejection }, "no longer rejected");
    }
    if (this.#leftOut === 0 || this.#summaries.readyAtMs(nowMs) > nowMs) return;
    this.#summaries.take(nowMs);
    logger.warn({ leftOut: this.#leftOut }, "more is rejected than is logged: kube-ipvs plan lists it");
    this.#leftOut = 0;
  }

  /** Whether the rate of the object allows one more line; else it is counted as left out. */
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
