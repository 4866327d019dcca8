import type { ObjectKind, ObjectReference } from "./object-reference.ts";

/** An object that a notice can be about. */
export type NoticeObject = ObjectReference<Exclude<ObjectKind, "ServiceCIDR">>;

/** Something that whoever watches the cluster should hear. Two are the same notice when all their fields are equal. */
export interface Notice {
  readonly type: "Normal" | "Warning";
  /** Why, in one word, as "Starting". */
  readonly reason: string;
  /** What was being done, in one word, as "PrepareNode". */
  readonly action: string;
  readonly regarding: NoticeObject;
  /** For people: what, and with which values. */
  readonly note: string;
}
