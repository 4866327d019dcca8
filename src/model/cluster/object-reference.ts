/** The kinds of objects that the agent reads. */
export type ObjectKind = "Service" | "EndpointSlice" | "Node" | "ServiceCIDR";

/** The kind, namespace and name of an object of the cluster. */
export interface ObjectReference<Kind extends ObjectKind = ObjectKind> {
  readonly kind: Kind;
  /** "" for a kind without namespaces. */
  readonly namespace: string;
  readonly name: string;
}

/**
 * Returns the reference to an object of a kind at a path: "namespace/name", or "name" for a kind without namespaces.
 */
export function objectReference<Kind extends ObjectKind>(kind: Kind, path: string): ObjectReference<Kind> {
  const slash = path.indexOf("/");
  return { kind, namespace: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}
