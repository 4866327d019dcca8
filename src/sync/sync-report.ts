import type { Errno } from "../model/kernel/errno.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { OperationKind } from "../model/kernel/operation.ts";
import type { FailureReport } from "./retry/failure-log.ts";

export type DriftKind = "missing" | "different" | "unwanted";
export type DriftObject = "virtual-server" | "real-server" | "address" | "entry";

/** So many objects of one kind were found to differ in one way from what was believed. */
export interface DriftCount {
  readonly object: DriftObject;
  readonly kind: DriftKind;
  readonly count: number;
}

/** What one flush did. Counts are of this flush, states as they are after it, times of `Clock.now`. */
export interface SyncReport {
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** Everything asked for was done: nothing was refused in this flush. */
  readonly clean: boolean;
  readonly operations: readonly { readonly kind: OperationKind; readonly errno: Errno | ""; readonly count: number }[];
  /** What the kernel refuses, by name; `state.failedObjects` counts it all. */
  readonly failures: FailureReport;
  /** Schedulers that a virtual server was refused for: this kernel neither has them nor finds their modules. */
  readonly missingSchedulers: readonly Scheduler[];
  /** Dirty work left for the next flush; 0 when all is programmed but refused keys. */
  readonly pending: number;
  /** It ended at the limit of operations of one flush with more work known: the next one need not wait. */
  readonly cut: boolean;
  /** Found where the kernel's answers contradicted what was believed, and by a look that this flush had to begin with. */
  readonly drift: readonly DriftCount[];
  readonly state: ReconcileState;
}

/** Sizes of what is wanted, held and waited for. */
export interface ReconcileState {
  readonly desired: ObjectCounts;
  readonly actual: ObjectCounts;
  /** Virtual servers seen that are not ours. */
  readonly foreignServers: number;
  /** Keys whose last operation was refused and that wait for their retry. */
  readonly failedObjects: number;
  /** Real servers at weight 0 that wait for their connections to end. */
  readonly drainingRealServers: number;
  /** When the oldest work not yet done was asked for; 0 without any. */
  readonly oldestPendingMs: number;
}

export interface ObjectCounts {
  readonly virtualServers: number;
  readonly realServers: number;
  readonly addresses: number;
  readonly entries: number;
}

/** What one look at the kernel found to differ from what was believed. Empty at the first look: nothing was believed. */
export interface ResyncReport {
  readonly durationMs: number;
  readonly first: boolean;
  readonly drift: readonly DriftCount[];
}
