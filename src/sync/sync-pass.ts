import type { KeySet } from "../model/kernel/keys.ts";
import type { DriftCounts, OperationCounts } from "./operation-counts.ts";
import type { Planned } from "./plan/plan.ts";

/** The results that one sync collects. */
export interface SyncPass {
  readonly operations: OperationCounts;
  readonly drift: DriftCounts;
  /** The objects that are not tried again in this sync. */
  readonly failed: KeySet;
  /** Whether work is left because of a limit. */
  cut: boolean;
}

/** Objects that are planned and applied together. */
export interface Batch {
  readonly keys: KeySet;
  readonly planned: Planned;
  /** When the oldest of these objects was marked. */
  readonly atMs: number;
}
