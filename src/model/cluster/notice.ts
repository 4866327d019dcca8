import type { ObjectKind, ObjectReference } from "./object-reference.ts";

/** An object to which a notice can refer. */
export type NoticeObject = ObjectReference<Exclude<ObjectKind, "ServiceCIDR">>;

/** A message for operators, which becomes an Event. Two notices are the same if all of their fields are equal. */
export interface Notice {
  readonly type: "Normal" | "Warning";
  /** The cause, in one word, such as "Starting". */
  readonly reason: string;
  /** The action of the agent, in one word, such as "PrepareNode". */
  readonly action: string;
  readonly regarding: NoticeObject;
  /** Text for an operator, with the values. */
  readonly note: string;
}
