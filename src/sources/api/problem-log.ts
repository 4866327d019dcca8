import type { Clock } from "../../model/clock.ts";
import type { Problem } from "../../model/cluster/problem.ts";

/** A first list may bring thousands, which are told together. */
const GATHER_MS = 200;
/** Objects whose problems are told at one time; the rest follows: a thousand problems are half a millisecond. */
const OBJECTS_PER_TELLING = 100;

const RIGHT: readonly Problem[] = [];

/** Keeps what is wrong with the objects there are, and tells what is new of it when that has changed. */
export class ProblemLog {
  readonly #byObject = new Map<string, readonly Problem[]>();
  /** Of each object whose problems have changed, those that were told last. */
  readonly #toldBefore = new Map<string, readonly Problem[]>();
  #count = 0;
  #changed = Promise.withResolvers<void>();

  /** What is wrong with the object now; empty when nothing is. */
  record(object: string, problems: readonly Problem[]): void {
    const before = this.#byObject.get(object) ?? RIGHT;
    if (JSON.stringify(before) === JSON.stringify(problems)) return;
    this.#count += problems.length - before.length;
    if (problems.length === 0) this.#byObject.delete(object);
    else this.#byObject.set(object, problems);
    if (!this.#toldBefore.has(object)) this.#toldBefore.set(object, before);
    this.#changed.resolve();
  }

  /** Calls `tell` with how much is wrong now and what of it is new, until the signal is aborted. Rejects if it throws. */
  async run(
    clock: Clock,
    signal: AbortSignal,
    tell: (count: number, fresh: readonly Problem[]) => void,
  ): Promise<void> {
    signal.addEventListener("abort", () => this.#changed.resolve());
    while (!signal.aborted) {
      await this.#changed.promise;
      await clock.sleep(GATHER_MS, signal);
      if (signal.aborted) return;
      this.#changed = Promise.withResolvers<void>();
      tell(this.#count, this.#takeFresh());
      if (this.#toldBefore.size > 0) this.#changed.resolve();
    }
  }

  #takeFresh(): readonly Problem[] {
    const fresh: Problem[] = [];
    let left = OBJECTS_PER_TELLING;
    for (const [object, before] of this.#toldBefore) {
      if (left-- === 0) break;
      this.#toldBefore.delete(object);
      const told = new Set(before.map((problem) => JSON.stringify(problem)));
      for (const problem of this.#byObject.get(object) ?? RIGHT) {
        if (!told.has(JSON.stringify(problem))) fresh.push(problem);
      }
    }
    return fresh;
  }
}
