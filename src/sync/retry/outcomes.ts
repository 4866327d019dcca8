import type { Outcome } from "../../kernel/kernel.ts";
import type { Errno } from "../../model/kernel/errno.ts";
import { type ObjectKey, type ObjectName, subjectOf } from "../../model/kernel/keys.ts";
import type { Operation, OperationKind } from "../../model/kernel/operation.ts";
import type { OperationFailure } from "./failure-log.ts";

/** The errnos which show that the actual state of the object is wrong. All others concern the operation itself. */
const CONTRADICTIONS: Readonly<Record<OperationKind, readonly Errno[]>> = {
  // ENOENT is not in the list: it means that the kernel does not have the scheduler.
  "add-virtual-server": ["EEXIST"],
  "update-virtual-server": ["ESRCH"],
  "delete-virtual-server": ["ESRCH"],
  // ESRCH: the virtual server does not exist. ENOENT: the real server does not exist.
  "add-real-server": ["EEXIST", "ESRCH"],
  "update-real-server": ["ENOENT", "ESRCH"],
  "delete-real-server": ["ENOENT", "ESRCH"],
  // ENODEV: kube-ipvs0 does not exist, and therefore none of its addresses. ESRCH: the route does not exist.
  "bind-address": ["EEXIST", "ENODEV"],
  "unbind-address": ["EADDRNOTAVAIL", "ENODEV", "ESRCH"],
  // ENOENT: the set does not exist, or the member that is to be deleted.
  "add-entry": ["EEXIST", "ENOENT"],
  "delete-entry": ["ENOENT"],
  "forget-flows": [],
};

/** An object with at least one failed operation, and the operation whose error describes the cause best. */
export interface FailedObject extends OperationFailure {
  readonly name: ObjectName;
  /** The error shows that the actual state of the object is wrong: it must be read before the next attempt. */
  readonly contradicted: boolean;
}

export interface ClassifiedOutcomes {
  readonly done: readonly Operation[];
  readonly failed: ReadonlyMap<ObjectKey, FailedObject>;
}

const NONE_FAILED: ClassifiedOutcomes["failed"] = new Map();

/** Sorts the outcomes of operations: one outcome for each operation, in the same order. Throws if the numbers differ. */
export function classifyOutcomes(operations: readonly Operation[], outcomes: readonly Outcome[]): ClassifiedOutcomes {
  if (outcomes.length === operations.length && outcomes.every(({ ok }) => ok))
    return { done: operations, failed: NONE_FAILED };
  const done: Operation[] = [];
  const failed = new Map<ObjectKey, FailedObject>();
  for (const [index, operation] of operations.entries()) {
    const outcome = outcomes[index];
    if (outcome === undefined) throw new Error(`Kernel gave ${outcomes.length} outcomes for ${operations.length}`);
    if (outcome.ok) done.push(operation);
    else addFailure({ operation, errno: outcome.errno, text: outcome.text ?? "" }, failed);
  }
  return { done, failed };
}

/**
 * Adds the failure to the failed object. If the virtual server itself could not be added, the ESRCH of its real servers is a
 * consequence and shows no contradiction.
 */
function addFailure(failure: OperationFailure, failed: Map<ObjectKey, FailedObject>): void {
  const { operation, errno } = failure;
  const name = subjectOf(operation);
  const before = failed.get(name.key);
  const contradicted = CONTRADICTIONS[operation.kind].includes(errno);
  const explained = before !== undefined && !before.contradicted && errno === "ESRCH";
  if (before === undefined) failed.set(name.key, { ...failure, name, contradicted });
  else if (before.contradicted && !contradicted) failed.set(name.key, { ...failure, name, contradicted: true });
  else if (contradicted && !explained) failed.set(name.key, { ...before, contradicted: true });
}
