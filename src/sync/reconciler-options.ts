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
  /** Prepares the node. Called before each read of the kernel, because the cause of a wrong state may be that the node is not prepared any more. */
  readonly prepare: () => Promise<void>;
  /** Resolves after the event loop had a turn. */
  readonly nextTurn: () => Promise<void>;
}

/** The start of a sync's report: that of the resync, if the sync needs one first. */
export interface SyncStart {
  readonly startedAtMs: number;
  /** The drift of that resync. */
  readonly drift: DriftCounts;
}
