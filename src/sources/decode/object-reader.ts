import type { ObjectKind } from "../../model/cluster/object-reference.ts";
import { type Problem, type ProblemObject, problemObject } from "../../model/cluster/problem.ts";
import { ProblemList } from "../../model/cluster/problem-list.ts";
import { PROTOCOLS, type Protocol } from "../../model/cluster/service.ts";
import { valueText } from "../../model/value-text.ts";
import type { Decoded } from "../../services/cluster-event.ts";

/** A JSON object whose fields nobody has checked yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether the value is a JSON object: neither null nor a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The field of what may be an object; undefined when it is none, or the field is absent or null. */
export function field(value: unknown, key: string): unknown {
  return isJsonObject(value) ? (value[key] ?? undefined) : undefined;
}

/** Namespace and name out of an object's metadata; an absent namespace is "default", as for kubectl. */
export interface Identity {
  readonly namespace: string;
  readonly name: string;
}

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Identity of a namespaced object, undefined where metadata does not give a usable one. */
export function identityOf(object: unknown): Identity | undefined {
  const metadata = field(object, "metadata");
  const name = field(metadata, "name");
  const namespace = field(metadata, "namespace") ?? "default";
  if (typeof name !== "string" || !DNS_SUBDOMAIN.test(name)) return undefined;
  if (typeof namespace !== "string" || !DNS_LABEL.test(namespace)) return undefined;
  return { namespace, name };
}

/**
 * Reads fields of one untrusted object and collects what is wrong with them. Every method takes the parent, the key and
 * the parent's path; it answers undefined both for an absent field (null counts as absent, as in Kubernetes) and for a
 * wrong one, which it rejects. Paths are put together only for a problem: half a million endpoints pass through here.
 */
export class ObjectReader {
  readonly #problems: ProblemList;

  /** `object` is what every problem is about. */
  constructor(object: ProblemObject) {
    this.#problems = new ProblemList(object);
  }

  /** What was rejected: the first ten, and how many more there are. */
  get problems(): readonly Problem[] {
    return this.#problems.list();
  }

  /** How often something was rejected. */
  get problemCount(): number {
    return this.#problems.count;
  }

  reject(path: string, value: unknown, reason: string): void {
    this.#problems.add(path, value, reason);
  }

  object(parent: JsonObject, key: string, path: string): JsonObject | undefined {
    const value = field(parent, key);
    if (value === undefined || isJsonObject(value)) return value;
    this.reject(join(path, key), value, "must be an object");
    return undefined;
  }

  /** The list, empty when absent or wrong; its elements are unchecked. */
  list(parent: JsonObject, key: string, path: string): readonly unknown[] {
    const value = field(parent, key);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.reject(join(path, key), value, "must be a list");
    return [];
  }

  /** The list, but of one that is longer the first `most` elements alone; that is rejected once. */
  listUpTo(most: number, parent: JsonObject, key: string, path: string): readonly unknown[] {
    const list = this.list(parent, key, path);
    if (list.length <= most) return list;
    this.reject(join(path, key), `${list.length} elements`, `are more than ${most}: those beyond are not read`);
    return list.slice(0, most);
  }

  text(parent: JsonObject, key: string, path: string): string | undefined {
    const value = field(parent, key);
    if (value === undefined || typeof value === "string") return value;
    this.reject(join(path, key), value, "must be a string");
    return undefined;
  }

  boolean(parent: JsonObject, key: string, path: string): boolean | undefined {
    const value = field(parent, key);
    if (value === undefined || typeof value === "boolean") return value;
    this.reject(join(path, key), value, "must be true or false");
    return undefined;
  }

  integer(parent: JsonObject, key: string, path: string, min: number, max: number): number | undefined {
    const value = field(parent, key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    this.reject(join(path, key), value, `must be a whole number from ${min} to ${max}`);
    return undefined;
  }

  /** One of the words; `fallback` when absent or wrong. */
  word<Word extends string>(
    parent: JsonObject,
    key: string,
    path: string,
    words: readonly Word[],
    fallback: Word,
  ): Word {
    const value = field(parent, key);
    if (value === undefined || value === "") return fallback;
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    this.reject(join(path, key), value, `must be one of ${words.join(", ")}`);
    return fallback;
  }

  /** The name of a port: a DNS label, "" when absent. Undefined when wrong. */
  portName(parent: JsonObject, path: string): string | undefined {
    const value = field(parent, "name") ?? "";
    if (typeof value === "string" && (value === "" || DNS_LABEL.test(value))) return value;
    this.reject(join(path, "name"), value, "must be a DNS label: lower case letters, digits and dashes");
    return undefined;
  }

  /** TCP when absent; undefined when wrong. */
  protocol(parent: JsonObject, path: string): Protocol | undefined {
    const value = field(parent, "protocol") ?? "TCP";
    const protocol = PROTOCOLS.find((known) => known === value);
    if (protocol === undefined) this.reject(`${path}.protocol`, value, `must be one of ${PROTOCOLS.join(", ")}`);
    return protocol;
  }

  /** The number of a port; undefined when absent or wrong, both rejected. */
  portNumber(parent: JsonObject, path: string): number | undefined {
    if (field(parent, "port") === undefined) this.reject(`${path}.port`, "", "is missing");
    return this.integer(parent, "port", path, 1, 65_535);
  }
}

/** The answer for an object whose metadata give it no usable identity. */
export function broken(kind: ObjectKind, object: unknown): Extract<Decoded<never, never>, { kind: "broken" }> {
  const reader = new ObjectReader(problemObject(kind, ""));
  reader.reject("metadata", field(object, "metadata"), "must hold a DNS name and, if any, a DNS label as namespace");
  return { kind: "broken", problems: reader.problems };
}

/** The label's value; undefined when it is not there at all. */
export function labelOf(object: JsonObject, label: string): string | undefined {
  return stringMapEntry(object, "labels", label);
}

const NO_ANNOTATIONS: JsonObject = {};

/** All annotations; none when they are no object. */
export function annotationsOf(object: JsonObject): JsonObject {
  const annotations = field(field(object, "metadata"), "annotations");
  return isJsonObject(annotations) ? annotations : NO_ANNOTATIONS;
}

/** Path of the annotation, for a problem. */
export function annotationPath(annotation: string): string {
  return `metadata.annotations["${annotation}"]`;
}

/** The annotation's value; undefined when it is not there at all. */
export function annotationOf(object: JsonObject, annotation: string): string | undefined {
  return stringMapEntry(object, "annotations", annotation);
}

function stringMapEntry(object: JsonObject, map: "labels" | "annotations", key: string): string | undefined {
  const value = field(field(field(object, "metadata"), map), key);
  return value === undefined ? undefined : stringOf(value);
}

/**
 * The text of a label or an annotation. Both are strings in the API; a manifest may hold `true` or 5 by mistake, which means
 * the same.
 */
export function stringOf(value: unknown): string {
  return typeof value === "string" ? value : valueText(value);
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
