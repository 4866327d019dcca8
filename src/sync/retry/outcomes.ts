import type { Outcome } from "../../kernel/kernel.ts";
import type { Errno } from "../../model/kernel/errno.ts";
import { type ObjectKey, type ObjectName, subjectOf } from "../../model/kernel/keys.ts";
import type { Operation, OperationKind } from "../../model/kernel/operation.ts";
import type { OperationFailure } from "./failure-log.ts";

/** The refusals that say the object is not as we believed. All others are about the operation itself. */
const CONTRADICTIONS: Readonly<Record<OperationKind, readonly Errno[]>> = {
  // ENOENT is not among them: the kernel has no such scheduler.
  "add-virtual-server": ["EEXIST"],
  "update-virtual-server": ["ESRCH"],
  "delete-virtual-server": ["ESRCH"],
  // ESRCH: the virtual server is gone. ENOENT: the real server is.
  "add-real-server": ["EEXIST", "ESRCH"],
  "update-real-server": ["ENOENT", "ESRCH"],
  "delete-real-server": ["ENOENT", "ESRCH"],
  // ENODEV: kube-ipvs0 is gone, and every address with it.
  "bind-address": ["EEXIST", "ENODEV"],
  "unbind-address": ["EADDRNOTAVAIL", "ENODEV"],
  // ENOENT: the set is gone, or the member that we wanted to delete.
  "add-entry": ["EEXIST", "ENOENT"],
  "delete-entry": ["ENOENT"],
  "forget-flows": [],
};

/** What became of the object of at least one refused operation, and the operation that says most of the cause. */
export interface FailedObject extends OperationFailure {
  readonly name: ObjectName;
  /** We believed something of it that is not so: look at it before the next attempt. */
  readonly contradicted: boolean;
}

export interface ClassifiedOutcomes {
  readonly done: readonly Operation[];
  readonly failed: ReadonlyMap<ObjectKey, FailedObject>;
}

const NONE_FAILED: ClassifiedOutcomes["failed"] = new Map();

/** Sorts the outcomes of operations, one for each and in their order. Throws when there are not as many. */
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

/** Once a virtual server is refused for good reason, that its real servers find it missing tells nothing new. */
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
