import { printable, valueText } from "../value-text.ts";
import type { Problem, ProblemObject } from "./problem.ts";

/** So many problems of one object are listed: its owner has to mend it anyway, and one manifest can have 100,000. */
export const LISTED_PROBLEMS = 10;

const NONE: readonly Problem[] = [];

/**
 * What is wrong with one object: the first ten problems, and one that says how many more there are. Each is text of
 * bounded length on one line, whatever the object holds: it is logged, shown on terminals and becomes an Event.
 */
export class ProblemList {
  readonly #object: ProblemObject;
  readonly #listed: Problem[] = [];
  #count = 0;

  /** `object` is what every problem is about. */
  constructor(object: ProblemObject) {
    this.#object = object;
  }

  /** How many problems there are, listed or not. */
  get count(): number {
    return this.#count;
  }

  /** Adds one; `object` is what is wrong, where that is a part of the object. */
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

  /** All that are listed. */
  list(): readonly Problem[] {
    const more = this.#count - this.#listed.length;
    if (this.#count === 0) return NONE;
    if (more === 0) return this.#listed;
    return [
      ...this.#listed,
      {
        object: { ...this.#object, place: clause(this.#object.place) },
        field: "",
        value: `${more} more`,
        reason: "are wrong as well",
      },
    ];
  }
}

const LONGEST_CLAUSE = 500;

/** Reasons are ours, but some quote what came from outside; names of files do so too. */
function clause(text: string): string {
  return printable(text.length > LONGEST_CLAUSE ? `${text.slice(0, LONGEST_CLAUSE)}…` : text);
}
