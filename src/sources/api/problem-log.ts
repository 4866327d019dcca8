import { byText, type Problem } from "../../model/cluster/problem.ts";
import { changesBetween } from "../../model/problem-tracker.ts";
import type { Clock } from "../../model/time/clock.ts";

/** The time for which changes are collected before a report. A first list may bring thousands. */
const COLLECT_MS = 200;
/** The number of objects in one report; the others follow in the next. A thousand problems take half a millisecond. */
const OBJECTS_PER_REPORT = 100;

const NONE: readonly Problem[] = [];

/** Keeps the problems of all objects and reports the new ones. */
export class ProblemLog {
  readonly #byObject = new Map<string, readonly Problem[]>();
  /** The problems in the last report, for each object whose problems have changed since. */
  readonly #reportedBefore = new Map<string, readonly Problem[]>();
  #count = 0;
  #changed = Promise.withResolvers<void>();

  /** Records the problems of an object; none if the object is valid or deleted. */
  record(object: string, problems: readonly Problem[]): void {
    const before = this.#byObject.get(object) ?? NONE;
    if (JSON.stringify(before) === JSON.stringify(problems)) return;
    this.#count += problems.length - before.length;
    if (problems.length === 0) this.#byObject.delete(object);
    else this.#byObject.set(object, problems);
    if (!this.#reportedBefore.has(object)) this.#reportedBefore.set(object, before);
    this.#changed.resolve();
  }

  /**
   * Calls `report` with the number of all problems, the new ones, and a function that returns the current ones, after each
   * change, until the signal is aborted.
   * Rejects if `report` throws.
   */
  async run(
    clock: Clock,
    signal: AbortSignal,
    report: (count: number, fresh: readonly Problem[], all: () => Iterable<Problem>) => void,
  ): Promise<void> {
    signal.addEventListener("abort", () => this.#changed.resolve());
    while (!signal.aborted) {
      await this.#changed.promise;
      await clock.sleep(COLLECT_MS, signal);
      if (signal.aborted) return;
      this.#changed = Promise.withResolvers<void>();
      report(this.#count, this.#takeFresh(), () => [...this.#byObject.values()].flat());
      if (this.#reportedBefore.size > 0) this.#changed.resolve();
    }
  }

  #takeFresh(): readonly Problem[] {
    const fresh: Problem[] = [];
    let left = OBJECTS_PER_REPORT;
    for (const [object, before] of this.#reportedBefore) {
      if (left-- === 0) break;
      this.#reportedBefore.delete(object);
      const now = this.#byObject.get(object) ?? NONE;
      fresh.push(...changesBetween(byText(before), byText(now)).begun);
    }
    return fresh;
  }
}
