import type { Errno } from "../model/kernel/errno.ts";
import type { IPSet } from "../model/kernel/ipset.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { OperationKind } from "../model/kernel/operation.ts";
import type { DrainEnd, WaitingServer } from "./plan/drain.ts";
import type { FailureReport } from "./retry/failure-log.ts";

export type DriftKind = "missing" | "different" | "unwanted";
export type DriftObject = "virtual-server" | "real-server" | "address" | "entry";

/** The number of objects of one kind that differed in one way from the expected state. */
export interface DriftCount {
  readonly object: DriftObject;
  readonly kind: DriftKind;
  readonly count: number;
}

/** The result of one sync: the counts of this sync, and the state after it. Times are of `Clock.now`. */
export interface SyncReport {
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** Whether all objects are compared, by this sync or by it and the next ones, as after a resync; otherwise only changed ones. */
  readonly full: boolean;
  /** Whether no operation failed. */
  readonly clean: boolean;
  readonly operations: readonly { readonly kind: OperationKind; readonly errno: Errno | ""; readonly count: number }[];
  /** The objects whose operations fail, by name; `state.failedObjects` counts all of them. */
  readonly failures: FailureReport;
  /** The schedulers that this kernel does not have and whose modules it cannot find. */
  readonly missingSchedulers: readonly Scheduler[];
  /** The number of objects that wait for the next sync; failed objects are not counted. */
  readonly pending: number;
  /** Whether it ended at the limit of operations with work left: the next sync begins at once. */
  readonly cut: boolean;
  /** The drift that the kernel's answers showed, and that of a resync with which this sync had to begin. */
  readonly drift: readonly DriftCount[];
  readonly state: ReconcileState;
}

/** The sizes of the desired state, the actual state and the work that waits. */
export interface ReconcileState {
  readonly desired: ObjectCounts;
  readonly actual: ObjectCounts;
  /** The number of members of each set that has had members. It follows all later changes. */
  readonly setMembers: ReadonlyMap<IPSet, number>;
  /** The number of virtual servers that are not ours. */
  readonly foreignServers: number;
  /** The number of objects whose last operation failed and that wait for a retry. */
  readonly failedObjects: number;
  /** The number of real servers at weight 0 that wait for their connections to end. */
  readonly drainingRealServers: number;
  /** When the oldest drain began, as of the last count of connections; 0 if none waits. */
  readonly oldestDrainMs: number;
  /** The number of drains that have ended since the start, by reason. */
  readonly drainEnds: Readonly<Record<DrainEnd, number>>;
  /** When the oldest work that is not done was marked; 0 if there is none. */
  readonly oldestPendingMs: number;
}

export interface ObjectCounts {
  readonly virtualServers: number;
  readonly realServers: number;
  readonly addresses: number;
  readonly entries: number;
}

/** The result of one resync. The first resync has no drift, because no state was expected. */
export interface ResyncReport {
  readonly durationMs: number;
  readonly first: boolean;
  readonly drift: readonly DriftCount[];
}

/** The real servers that drain, and those that have drained. */
export interface DrainReport {
  readonly total: number;
  /** As in `ReconcileState.drainEnds`. */
  readonly ends: Readonly<Record<DrainEnd, number>>;
  /** Some of those that drain. */
  readonly listed: readonly WaitingServer[];
}
