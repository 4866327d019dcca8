import { printable, valueText } from "../value-text.ts";
import type { ProblemObject, Rejection } from "./problem.ts";

/** So many rejections of one object are listed: its owner has to mend it anyway, and one manifest can have 100,000. */
export const LISTED_REJECTIONS = 10;

const NONE: readonly Rejection[] = [];

/**
 * What is wrong with one object: the first ten rejections, and one that says how many more there are. Each is text of
 * bounded length on one line, whatever the object holds: it is logged, shown on terminals and becomes an Event.
 */
export class RejectionList {
  readonly #object: ProblemObject;
  readonly #listed: Rejection[] = [];
  #count = 0;

  /** `object` is what every rejection is about. */
  constructor(object: ProblemObject) {
    this.#object = object;
  }

  /** How many rejections there are, listed or not. */
  get count(): number {
    return this.#count;
  }

  /** Adds one; `object` is what is wrong, where that is a part of the object. */
  add(field: string, value: unknown, reason: string, object = this.#object): void {
    this.#count++;
    if (this.#count > LISTED_REJECTIONS) return;
    this.#listed.push({
      object: { ...object, place: clause(object.place) },
      field: valueText(field),
      value: valueText(value),
      reason: clause(reason),
    });
  }

  /** All that are listed. */
  list(): readonly Rejection[] {
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
