import { type ObjectKind, objectReference } from "./object-reference.ts";

/** What a problem is about: an object of the cluster, or a part of the manifests. */
export interface ProblemObject {
  /** "Manifest": a part of the manifests in which no object can be read. */
  readonly kind: ObjectKind | "Manifest";
  /** "" for a kind without namespaces. */
  readonly namespace: string;
  /** "" for an object without a usable name. */
  readonly name: string;
  /** The part of the manifests that defines it, as "file shop.yaml document 3"; "" for an object of an API server. */
  readonly place: string;
}

/** Something that was asked for and cannot be done, told so that its owner finds the line to mend. */
export interface Problem {
  readonly object: ProblemObject;
  /** Path of the field, as "spec.ports[1].port"; "" for the whole object. */
  readonly field: string;
  /** The offending value as text. */
  readonly value: string;
  readonly reason: string;
}

/** A problem as a line of the log and `kube-ipvs plan` have it. */
export interface ProblemFields extends Omit<Problem, "object"> {
  /** As `objectText` has it. */
  readonly object: string;
}

/** The fields in the order in which they are shown. */
export function problemFields({ object, field, value, reason }: Problem): ProblemFields {
  return { object: objectText(object), field, value, reason };
}

/** The object of the kind at a path: "namespace/name", or "name" for a kind without namespaces; "" without a usable name. */
export function problemObject(kind: ObjectKind, path: string, place = ""): ProblemObject {
  return { ...objectReference(kind, path), place };
}

/** A part of the manifests in which no object can be read. */
export function manifestPart(place: string): ProblemObject {
  return { kind: "Manifest", namespace: "", name: "", place };
}

/** For people: "Service shop/web", "Service shop/web in file shop.yaml document 3", "file shop.yaml". */
export function objectText({ kind, namespace, name, place }: ProblemObject): string {
  if (kind === "Manifest") return place;
  const path = namespace === "" ? name : `${namespace}/${name}`;
  const object = name === "" ? `${kind} without a valid name` : `${kind} ${path}`;
  return place === "" ? object : `${object} in ${place}`;
}
