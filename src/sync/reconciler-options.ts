import type { Kernel } from "../kernel/kernel.ts";
import type { Cidr } from "../model/address.ts";
import type { Clock } from "../model/clock.ts";
import type { Desired } from "./desired.ts";

export interface ReconcilerOptions {
  readonly nodeName: string;
  /** Virtual servers and addresses in these networks are never removed. */
  readonly excludeCIDRs: readonly Cidr[];
  /** How long an unwanted TCP real server may wait for its connections to end; 0 waits not at all. */
  readonly drainTimeoutMs: number;
  /** How often the connections of those that wait are counted. */
  readonly drainCheckMs: number;
}

export interface ReconcilerDependencies {
  readonly kernel: Kernel;
  readonly desired: Desired;
  readonly clock: Pick<Clock, "now">;
  /** Makes the node ready; called before every whole look, since what contradicts us may be that it no longer is. */
  readonly prepare: () => Promise<void>;
  /** Resolves after the event loop had a turn. */
  readonly nextTurn: () => Promise<void>;
}
