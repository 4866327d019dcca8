import { type ObjectKind, objectReference } from "./object-reference.ts";

/** The object that has a problem: an object of the cluster, or a part of the manifests. */
export interface ProblemObject {
  /** "Manifest" means a part of the manifests in which no object can be read. */
  readonly kind: ObjectKind | "Manifest";
  /** "" for a kind without namespaces. */
  readonly namespace: string;
  /** "" for an object without a valid name. */
  readonly name: string;
  /**
   * The part of the manifests that defines the object, such as "file shop.yaml document 3"; "" for an object of an API
   * server.
   */
  readonly place: string;
}

/** A request that cannot be fulfilled, with the object, field and value that its owner must correct. */
export interface Problem {
  readonly object: ProblemObject;
  /** Path of the field, such as "spec.ports[1].port"; "" for the whole object. */
  readonly field: string;
  /** The invalid value as text. */
  readonly value: string;
  readonly reason: string;
}

/** The fields of a problem in a log line and in the output of `kube-ipvs plan`. */
export interface ProblemFields extends Omit<Problem, "object"> {
  /** The text of `objectText`. */
  readonly object: string;
}

/** Returns the fields in the order in which they are shown. */
export function problemFields({ object, field, value, reason }: Problem): ProblemFields {
  return { object: problemObjectText(object), field, value, reason };
}

/**
 * Returns the object of a kind at a path: "namespace/name", or "name" for a kind without namespaces; "" if it has no
 * valid name.
 */
export function problemObject(kind: ObjectKind, path: string, place = ""): ProblemObject {
  return { ...objectReference(kind, path), place };
}

/** Returns a part of the manifests in which no object can be read. */
export function manifestPart(place: string): ProblemObject {
  return { kind: "Manifest", namespace: "", name: "", place };
}

/**
 * Returns the object as text: "Service shop/web", "Service shop/web in file shop.yaml document 3", "file shop.yaml".
 */
export function problemObjectText({ kind, namespace, name, place }: ProblemObject): string {
  if (kind === "Manifest") return place;
  const path = namespace === "" ? name : `${namespace}/${name}`;
  const object = name === "" ? `${kind} without a valid name` : `${kind} ${path}`;
  return place === "" ? object : `${object} in ${place}`;
}
