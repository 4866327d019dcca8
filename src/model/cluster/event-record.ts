import type { ObjectKind, ObjectReference } from "./object-reference.ts";

/** An object to which an event can refer. */
export type RegardingObject = ObjectReference<Exclude<ObjectKind, "ServiceCIDR">>;

/** A message for operators, which becomes an Event. Two events are the same if all of their fields are equal. */
export interface EventRecord {
  readonly type: "Normal" | "Warning";
  /** The cause, in one word, such as "Starting". */
  readonly reason: string;
  /** The action of the agent, in one word, such as "PrepareNode". */
  readonly action: string;
  readonly regarding: RegardingObject;
  /** Text for an operator, with the values. */
  readonly note: string;
}
