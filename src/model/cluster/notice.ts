/** An object of the cluster, by what names it. */
export interface ObjectReference {
  readonly kind: "Service" | "EndpointSlice" | "Node";
  /** "" for a Node. */
  readonly namespace: string;
  readonly name: string;
}

/** Something that whoever watches the cluster should hear. Two are the same notice when all their fields are equal. */
export interface Notice {
  readonly type: "Normal" | "Warning";
  /** Why, in one word, as "Starting". */
  readonly reason: string;
  /** What was being done, in one word, as "PrepareNode". */
  readonly action: string;
  readonly regarding: ObjectReference;
  /** For people: what, and with which values. */
  readonly note: string;
}
