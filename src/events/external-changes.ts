import type { EventRecord } from "../model/cluster/event-record.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import { TokenBucket } from "../model/time/token-bucket.ts";
import type { DriftCount } from "../sync/sync-report.ts";
import { externalChangeEvent } from "./event-records.ts";

/** An Event of each kind of change is sent once in ten minutes at most, and a line is logged once a minute. */
const EVENT_REFILL_MS = 10 * 60_000;
const LOG_REFILL_MS = 60_000;
/** A flush deletes all virtual servers; everything else is a single change. */
const EXTERNAL_CHANGES = ["flush", "change"] as const;
export type ExternalChange = (typeof EXTERNAL_CHANGES)[number];

export interface ExternalChangesDependencies {
  readonly nodeName: string;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  readonly metrics: { recordExternalChange(kind: ExternalChange): void };
  readonly recordEvent: (event: EventRecord) => void;
}

/** Reports what other programs did to the objects of the agent: each time by metric, and by limited logs and Events. */
export class ExternalChanges {
  readonly #dependencies: ExternalChangesDependencies;
  readonly #events: Readonly<Record<ExternalChange, TokenBucket>> = {
    flush: new TokenBucket(1, EVENT_REFILL_MS),
    change: new TokenBucket(1, EVENT_REFILL_MS),
  };
  readonly #lines: Readonly<Record<ExternalChange, TokenBucket>> = {
    flush: new TokenBucket(1, LOG_REFILL_MS),
    change: new TokenBucket(1, LOG_REFILL_MS),
  };
  /** The changes since the last line about one. */
  readonly #unlogged: Record<ExternalChange, number> = { flush: 0, change: 0 };

  constructor(dependencies: ExternalChangesDependencies) {
    this.#dependencies = dependencies;
  }

  /** Reports the drift that a resync found. `virtualServers` is their desired number. */
  found(drift: readonly DriftCount[], virtualServers: number): void {
    if (drift.length === 0) return;
    const { nodeName, clock, logger, metrics, recordEvent } = this.#dependencies;
    const kind = isFlush(drift, virtualServers) ? "flush" : "change";
    const repaired = repairedText(drift);
    metrics.recordExternalChange(kind);
    const nowMs = clock.now();
    if (takes(this.#lines[kind], nowMs)) {
      const unlogged = this.#unlogged[kind];
      const fields = { repaired, ...(unlogged > 0 && { unlogged }) };
      this.#unlogged[kind] = 0;
      if (kind === "flush")
        logger.warn(fields, "another process flushed IPVS: all virtual servers were deleted and are added again");
      else logger.warn(fields, "the kernel state differs from the last sync: another process changed it");
    } else this.#unlogged[kind] += 1;
    if (takes(this.#events[kind], nowMs)) recordEvent(externalChangeEvent(nodeName, kind, repaired));
  }
}

function takes(bucket: TokenBucket, nowMs: number): boolean {
  if (bucket.readyAtMs(nowMs) > nowMs) return false;
  bucket.take(nowMs);
  return true;
}

function isFlush(drift: readonly DriftCount[], virtualServers: number): boolean {
  const missing = drift.find(({ object, kind }) => object === "virtual-server" && kind === "missing")?.count ?? 0;
  return missing > 0 && missing >= virtualServers;
}

/** As "3 virtual servers missing, 1 real server different". */
function repairedText(drift: readonly DriftCount[]): string {
  return drift.map(({ object, kind, count }) => `${count} ${NAMES[object][count === 1 ? 0 : 1]} ${kind}`).join(", ");
}

const NAMES: Readonly<Record<DriftCount["object"], readonly [one: string, more: string]>> = {
  "virtual-server": ["virtual server", "virtual servers"],
  "real-server": ["real server", "real servers"],
  address: ["address", "addresses"],
  entry: ["set member", "set members"],
};
