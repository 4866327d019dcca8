import type { ObjectKind } from "../../model/cluster/object-reference.ts";
import { type Problem, ProblemList, type ProblemObject, problemObject } from "../../model/cluster/problem.ts";
import { PROTOCOLS, type Protocol } from "../../model/cluster/service.ts";
import { valueText } from "../../model/value-text.ts";
import type { Decoded } from "../../services/cluster-event.ts";

/** A JSON object with unchecked fields. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether the value is a JSON object, and not null or a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the field of a value; undefined if the value is not an object, or the field is absent or null. */
export function field(value: unknown, key: string): unknown {
  return isJsonObject(value) ? (value[key] ?? undefined) : undefined;
}

/** The namespace and name in an object's metadata. An absent namespace is "default", as in kubectl. */
export interface Identity {
  readonly namespace: string;
  readonly name: string;
}

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Returns the identity of a namespaced object; undefined if it is missing or invalid. */
export function identityOf(object: unknown): Identity | undefined {
  const metadata = field(object, "metadata");
  const name = field(metadata, "name");
  const namespace = field(metadata, "namespace") ?? "default";
  if (typeof name !== "string" || !DNS_SUBDOMAIN.test(name)) return undefined;
  if (typeof namespace !== "string" || !DNS_LABEL.test(namespace)) return undefined;
  return { namespace, name };
}

/**
 * Reads fields of an untrusted object and collects problems. The methods take the parent object, the key, and the
 * parent's path. They return undefined for an absent field (null counts as absent, as in Kubernetes) and for an invalid
 * one, which they reject. Paths are built only for problems, because up to 500,000 endpoints are read.
 */
export class ObjectReader {
  readonly #problems: ProblemList;

  /** `object` is the object of all problems. */
  constructor(object: ProblemObject) {
    this.#problems = new ProblemList(object);
  }

  /** The first ten problems, and a problem with the number of further ones. */
  get problems(): readonly Problem[] {
    return this.#problems.list();
  }

  /** The number of problems. */
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

  /** Returns the list; empty if absent or invalid. Its elements are unchecked. */
  list(parent: JsonObject, key: string, path: string): readonly unknown[] {
    const value = field(parent, key);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.reject(join(path, key), value, "must be a list");
    return [];
  }

  /** Returns the first `most` elements of the list. A longer list is rejected once. */
  listUpTo(most: number, parent: JsonObject, key: string, path: string): readonly unknown[] {
    const list = this.list(parent, key, path);
    if (list.length <= most) return list;
    this.reject(
      join(path, key),
      `${list.length} elements`,
      `exceed the limit of ${most}: the other elements are ignored`,
    );
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

  /** Returns one of the words; `fallback` if absent or invalid. */
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

  /** Returns the name of a port, a DNS label; "" if absent, undefined if invalid. */
  portName(parent: JsonObject, path: string): string | undefined {
    const value = field(parent, "name") ?? "";
    if (typeof value === "string" && (value === "" || DNS_LABEL.test(value))) return value;
    this.reject(join(path, "name"), value, "must be a DNS label: lower case letters, digits and dashes");
    return undefined;
  }

  /** Returns the protocol; TCP if absent, undefined if invalid. */
  protocol(parent: JsonObject, path: string): Protocol | undefined {
    const value = field(parent, "protocol") ?? "TCP";
    const protocol = PROTOCOLS.find((known) => known === value);
    if (protocol === undefined) this.reject(`${path}.protocol`, value, `must be one of ${PROTOCOLS.join(", ")}`);
    return protocol;
  }

  /** Returns the number of a port; undefined if absent or invalid, and then rejected. */
  portNumber(parent: JsonObject, path: string): number | undefined {
    if (field(parent, "port") === undefined) this.reject(`${path}.port`, "", "is missing");
    return this.integer(parent, "port", path, 1, 65_535);
  }
}

/** Returns the result for an object without a valid identity. */
export function invalidObject(kind: ObjectKind, object: unknown): Extract<Decoded<never, never>, { kind: "invalid" }> {
  const reader = new ObjectReader(problemObject(kind, ""));
  reader.reject(
    "metadata",
    field(object, "metadata"),
    "must have a DNS subdomain as name, and a DNS label as namespace if any",
  );
  return { kind: "invalid", problems: reader.problems };
}

/**
 * Decodes one object. An exception becomes a problem of the object.
 *
 * An exception is a bug in a decoder, and the problem contains its location. Without this, every author of an object
 * could stop the agents of all nodes, again after each restart.
 */
export function fenced<Name, Value>(object: ProblemObject, decode: () => Decoded<Name, Value>): Decoded<Name, Value> {
  try {
    return decode();
  } catch (error) {
    const reason = `cannot be decoded: ${faultText(error)}`;
    return { kind: "invalid", problems: [{ object, field: "", value: "", reason }] };
  }
}

/** Returns the message, and the innermost function if it is known. */
function faultText(error: unknown): string {
  if (!(error instanceof Error)) return "an exception of unknown type";
  const [, place] = /\n\s+(at .*)/.exec(error.stack ?? "") ?? [];
  return place === undefined ? error.message : `${error.message} (${place})`;
}

/** Returns the value of the label; undefined if it is absent. */
export function labelOf(object: JsonObject, label: string): string | undefined {
  return stringMapEntry(object, "labels", label);
}

const NO_ANNOTATIONS: JsonObject = {};

/** Returns all annotations; empty if they are not an object. */
export function annotationsOf(object: JsonObject): JsonObject {
  const annotations = field(field(object, "metadata"), "annotations");
  return isJsonObject(annotations) ? annotations : NO_ANNOTATIONS;
}

/** Returns the path of the annotation for problems. */
export function annotationPath(annotation: string): string {
  return `metadata.annotations["${annotation}"]`;
}

/** Returns the value of the annotation; undefined if it is absent. */
export function annotationOf(object: JsonObject, annotation: string): string | undefined {
  return stringMapEntry(object, "annotations", annotation);
}

function stringMapEntry(object: JsonObject, map: "labels" | "annotations", key: string): string | undefined {
  const value = field(field(field(object, "metadata"), map), key);
  return value === undefined ? undefined : stringOf(value);
}

/**
 * Returns the text of a label or an annotation. Both are strings in the API. A manifest may contain `true` or 5 by
 * mistake, which has the same meaning.
 */
export function stringOf(value: unknown): string {
  return typeof value === "string" ? value : valueText(value);
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
