import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../model/time/clock.ts";
import type { Desired } from "./desired.ts";
import type { DriftCounts } from "./operation-counts.ts";
import type { ServerTrackerOptions } from "./plan/server-tracker.ts";

export interface ReconcilerOptions extends ServerTrackerOptions {
  /** How often the connections of draining real servers are counted. */
  readonly drainCheckMs: number;
}

export interface ReconcilerDependencies {
  readonly kernel: Kernel;
  readonly desired: Desired;
  readonly clock: Pick<Clock, "now">;
  /** Makes the node ready; called before the kernel is read, since what contradicts us may be that it no longer is. */
  readonly prepare: () => Promise<void>;
  /** Resolves after the event loop had a turn. */
  readonly nextTurn: () => Promise<void>;
}

/** Where the report of a sync begins: with a resync, if the sync needs one. */
export interface SyncStart {
  readonly startedAtMs: number;
  /** Has what the resync found. */
  readonly drift: DriftCounts;
}
