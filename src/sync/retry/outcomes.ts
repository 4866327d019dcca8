import type { Outcome } from "../../kernel/kernel.ts";
import type { Errno } from "../../model/kernel/errno.ts";
import { type ObjectKey, type ObjectName, subjectOf } from "../../model/kernel/keys.ts";
import type { Operation, OperationKind } from "../../model/kernel/operation.ts";
import type { Refusal } from "./failure-log.ts";

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
export interface Refused extends Refusal {
  readonly name: ObjectName;
  /** We believed something of it that is not so: look at it before the next attempt. */
  readonly contradicted: boolean;
}

export interface Verdict {
  readonly done: readonly Operation[];
  readonly refused: ReadonlyMap<ObjectKey, Refused>;
}

const NOBODY: Verdict["refused"] = new Map();

/** Sorts the outcomes of operations, one for each and in their order. Throws when there are not as many. */
export function judge(operations: readonly Operation[], outcomes: readonly Outcome[]): Verdict {
  if (outcomes.length === operations.length && outcomes.every(({ ok }) => ok))
    return { done: operations, refused: NOBODY };
  const done: Operation[] = [];
  const refused = new Map<ObjectKey, Refused>();
  for (const [index, operation] of operations.entries()) {
    const outcome = outcomes[index];
    if (outcome === undefined) throw new Error(`Kernel gave ${outcomes.length} outcomes for ${operations.length}`);
    if (outcome.ok) done.push(operation);
    else note({ operation, errno: outcome.errno, text: outcome.text ?? "" }, refused);
  }
  return { done, refused };
}

/** Once a virtual server is refused for good reason, that its real servers find it missing tells nothing new. */
function note(refusal: Refusal, refused: Map<ObjectKey, Refused>): void {
  const { operation, errno } = refusal;
  const name = subjectOf(operation);
  const before = refused.get(name.key);
  const contradicted = CONTRADICTIONS[operation.kind].includes(errno);
  const explained = before !== undefined && !before.contradicted && errno === "ESRCH";
  if (before === undefined) refused.set(name.key, { ...refusal, name, contradicted });
  else if (before.contradicted && !contradicted) refused.set(name.key, { ...refusal, name, contradicted: true });
  else if (contradicted && !explained) refused.set(name.key, { ...before, contradicted: true });
}
