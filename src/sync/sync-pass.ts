import type { KeySet } from "../model/kernel/keys.ts";
import type { DriftCounts, OperationCounts } from "./operation-counts.ts";
import type { Planned } from "./plan/plan.ts";

/** What one flush gathers on its way. */
export interface SyncPass {
  readonly operations: OperationCounts;
  readonly drift: DriftCounts;
  /** Not to be tried again in this flush. */
  readonly failed: KeySet;
  /** Work that could not be taken was left. */
  cut: boolean;
}

/** Objects that are planned and applied together. */
export interface Batch {
  readonly keys: KeySet;
  readonly planned: Planned;
  /** When the oldest of it was asked for. */
  readonly atMs: number;
}
