import { printable, valueText } from "../value-text.ts";
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
  /** The text of `problemObjectText`. */
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

/**
 * Maximum number of listed problems of one object: the owner must correct the object anyway, and one manifest can have
 * 100,000 problems.
 */
export const LISTED_PROBLEMS = 10;

const NONE: readonly Problem[] = [];

/**
 * The problems of one object: the first ten, and an entry with the number of the others. Each text has a limited length
 * and one line, whatever the object contains: it is logged, shown on terminals and becomes an Event.
 */
export class ProblemList {
  readonly #object: ProblemObject;
  readonly #listed: Problem[] = [];
  #count = 0;

  /** `object` is the object of every problem that does not name another. */
  constructor(object: ProblemObject) {
    this.#object = object;
  }

  /** Number of problems, listed or not. */
  get count(): number {
    return this.#count;
  }

  /** Adds a problem; `object` is a part of the object if the problem concerns only that part. */
  add(field: string, value: unknown, reason: string, object = this.#object): void {
    this.#count++;
    if (this.#count > LISTED_PROBLEMS) return;
    this.#listed.push({
      object: { ...object, place: clause(object.place) },
      field: valueText(field),
      value: valueText(value),
      reason: clause(reason),
    });
  }

  /** Returns the listed problems, and the entry with the number of the others. */
  list(): readonly Problem[] {
    const more = this.#count - this.#listed.length;
    if (this.#count === 0) return NONE;
    if (more === 0) return this.#listed;
    return [...this.#listed, moreProblems({ ...this.#object, place: clause(this.#object.place) }, more)];
  }
}

/** Returns the first ten problems of one object, and an entry with the number of the others. */
export function firstProblems(problems: readonly Problem[]): readonly Problem[] {
  const [first] = problems;
  if (first === undefined || problems.length <= LISTED_PROBLEMS) return problems;
  return [...problems.slice(0, LISTED_PROBLEMS), moreProblems(first.object, problems.length - LISTED_PROBLEMS)];
}

/** Returns the problems by texts that identify them. */
export function byText(problems: readonly Problem[]): ReadonlyMap<string, Problem> {
  return new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
}

function moreProblems(object: ProblemObject, count: number): Problem {
  return { object, field: "", value: `${count} more problems`, reason: "are not listed" };
}

const LONGEST_CLAUSE = 500;

/** Makes a text short and printable: reasons and places may quote input, such as names of files. */
function clause(text: string): string {
  return printable(text.length > LONGEST_CLAUSE ? `${text.slice(0, LONGEST_CLAUSE)}…` : text);
}
