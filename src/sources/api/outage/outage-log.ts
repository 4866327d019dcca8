import type { Logger } from "../../../model/logger.ts";
import { type Clock, dateOf } from "../../../model/time/clock.ts";
import type { Resource } from "../../../services/cluster-event.ts";
import { HEALTHY_MS } from "../watch-history.ts";

const MINUTE_MS = 60_000;
/** The number of failures that is logged. One failure is normal: servers restart, and load balancers cut connections. */
const LOGGED_FAILURES = 2;

/** A failed attempt to watch a resource. */
export interface Failure {
  readonly cause: string;
  /** What to do; "" if unknown. */
  readonly cure: string;
  /** Whether no server responded. */
  readonly unreachable: boolean;
  /** The time of the clock up to which all changes are known; 0 if no state is known. */
  readonly stateAtMs: number;
}

interface Outage extends Failure {
  readonly sinceMs: number;
  readonly failures: number;
  readonly confirming: boolean;
}

/**
 * Logs outages of the API server, for all resources together: one warning at the beginning, one each minute while the
 * outage lasts, and one line when all resources are watched again.
 */
export class OutageLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #outages = new Map<Resource, Outage>();
  #warnedAtMs = Number.NEGATIVE_INFINITY;
  /** The begin of the outage for which a warning was logged. */
  #loggedSinceMs: number | undefined;

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Records a failed attempt to list or watch the resource. */
  failed(resource: Resource, failure: Failure): void {
    const nowMs = this.#clock.now();
    const { sinceMs = nowMs, failures = 0 } = this.#outages.get(resource) ?? {};
    this.#outages.set(resource, { ...failure, sinceMs, failures: failures + 1, confirming: false });
    if (failures + 1 < LOGGED_FAILURES || nowMs - this.#warnedAtMs < MINUTE_MS) return;
    this.#warnedAtMs = nowMs;
    this.#warn(nowMs);
  }

  /** Records that the resource is watched. The outage ends after one second, if the signal is not aborted by then. */
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

  /** Ends the outage of the resource: it is watched, or it need not be. */
  ended(resource: Resource): void {
    if (!this.#outages.delete(resource) || this.#outages.size > 0 || this.#loggedSinceMs === undefined) return;
    const lasted = durationText(this.#clock.now() - this.#loggedSinceMs);
    this.#loggedSinceMs = undefined;
    this.#logger.info({}, `API server is watched again after ${lasted}`);
  }

  #warn(nowMs: number): void {
    const outages = [...this.#outages.values()];
    const resources = [...this.#outages.keys()];
    const sinceMs = Math.min(...outages.map((outage) => outage.sinceMs));
    this.#loggedSinceMs = sinceMs;
    const problem = outages.every(({ unreachable }) => unreachable)
      ? "API server unreachable"
      : `cannot watch ${resources.join(", ")} at the API server`;
    const stateAtMs = Math.min(...outages.map((outage) => outage.stateAtMs));
    const state = stateAtMs === 0 ? "no state known yet" : `serving the state of ${this.#timeText(stateAtMs)}`;
    const cause = [...new Set(outages.map((outage) => outage.cause))].join("; ");
    const cure = [...new Set(outages.map((outage) => outage.cure))].join("; ");
    this.#logger.warn({ resources, cause, cure }, `${problem} for ${durationText(nowMs - sinceMs)}, ${state}`);
  }

  #timeText(atMs: number): string {
    return dateOf(atMs, this.#clock).toISOString().replace("T", " ").replace(/\..*/, " UTC");
  }
}

/** The duration as text, for example "12s", "3m" or "2h5m". */
function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}
