import { type Clock, dateOf } from "../../model/clock.ts";
import type { Logger } from "../../model/logger.ts";
import type { Resource } from "../../services/cluster-event.ts";
import { HEALTHY_MS } from "./watch-history.ts";

const MINUTE_MS = 60_000;
/** A watch that is taken up again at the first attempt is no news: servers restart, load balancers cut connections. */
const NEWS_AFTER_FAILURES = 2;

/** Why a resource cannot be watched for now. */
export interface Failure {
  readonly cause: string;
  /** Whether no server answered at all. */
  readonly unreachable: boolean;
  /** Up to this time of the clock all was told; 0 when nothing was yet. */
  readonly stateAtMs: number;
}

interface Outage extends Failure {
  readonly sinceMs: number;
  readonly failures: number;
  readonly confirming: boolean;
}

/**
 * Logs what keeps watches from the API server, for all resources together: one warning, then one a minute for as long as it
 * lasts, and one line when all are watched again.
 */
export class OutageLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #outages = new Map<Resource, Outage>();
  #warnedAtMs = Number.NEGATIVE_INFINITY;
  /** Since when, in the outage of which a warning was logged. */
  #toldSinceMs: number | undefined;

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** An attempt to list or watch the resource failed. */
  failed(resource: Resource, failure: Failure): void {
    const nowMs = this.#clock.now();
    const { sinceMs = nowMs, failures = 0 } = this.#outages.get(resource) ?? {};
    this.#outages.set(resource, { ...failure, sinceMs, failures: failures + 1, confirming: false });
    if (failures + 1 < NEWS_AFTER_FAILURES || nowMs - this.#warnedAtMs < MINUTE_MS) return;
    this.#warnedAtMs = nowMs;
    this.#warn(nowMs);
  }

  /** The resource is watched; it counts as such after a second, if the signal has not been aborted by then. */
  async watched(resource: Resource, signal: AbortSignal): Promise<void> {
    const outage = this.#outages.get(resource);
    if (outage === undefined || outage.confirming) return;
    const confirming = { ...outage, confirming: true };
    this.#outages.set(resource, confirming);
    await this.#clock.sleep(HEALTHY_MS, signal);
    if (this.#outages.get(resource) !== confirming) return;
    if (signal.aborted) this.#outages.set(resource, outage);
    else this.ended(resource);
  }

  /** The resource need not be watched, or is. */
  ended(resource: Resource): void {
    if (!this.#outages.delete(resource) || this.#outages.size > 0 || this.#toldSinceMs === undefined) return;
    const lasted = durationText(this.#clock.now() - this.#toldSinceMs);
    this.#toldSinceMs = undefined;
    this.#logger.info({}, `API server answers and is watched again, after ${lasted}`);
  }

  #warn(nowMs: number): void {
    const outages = [...this.#outages.values()];
    const resources = [...this.#outages.keys()];
    this.#toldSinceMs = Math.min(...outages.map(({ sinceMs }) => sinceMs));
    const what = outages.every(({ unreachable }) => unreachable)
      ? "API server unreachable"
      : `API server cannot be watched for ${resources.join(", ")}`;
    const stateAtMs = Math.min(...outages.map((outage) => outage.stateAtMs));
    const state = stateAtMs === 0 ? "no state of it is known yet" : `serving the state of ${this.#timeText(stateAtMs)}`;
    const cause = [...new Set(outages.map((outage) => outage.cause))].join("; ");
    this.#logger.warn({ resources, cause }, `${what} since ${durationText(nowMs - this.#toldSinceMs)}, ${state}`);
  }

  #timeText(atMs: number): string {
    return dateOf(atMs, this.#clock).toISOString().replace("T", " ").replace(/\..*/, " UTC");
  }
}

/** "12s", "3m", "2h5m". */
function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}
