import { type Profiler, Session } from "node:inspector";

const SOURCES = "/src/";

/**
 * Counts how often V8 has run each block of the product's code: every call, every pass of a loop, every branch. That is the
 * same on every machine and at every load, and the code that is counted takes no part in it. What V8 does inside one
 * call of its own (sorting, copying, comparing texts) is not seen.
 */
export class WorkCounter implements Disposable {
  readonly #session = new Session();
  /** As `take` counted them last. */
  #counted: readonly Profiler.FunctionCoverage[] = [];

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Blocks run since the last call. */
  take(): number {
    this.#counted = this.#functions();
    return this.#counted.reduce((sum, { ranges }) => ranges.reduce((all, { count }) => all + count, sum), 0);
  }

  /** The functions that ran most in what `take` counted last, for people: "name count". */
  top(count: number): readonly string[] {
    const sums = this.#counted.map(({ functionName, ranges }) => {
      const sum = ranges.reduce((all, range) => all + range.count, 0);
      return [functionName, sum] as const;
    });
    return sums
      .sort(([, a], [, b]) => b - a)
      .slice(0, count)
      .map(([name, sum]) => `${name} ${sum}`);
  }

  #functions(): readonly Profiler.FunctionCoverage[] {
    let found: readonly Profiler.FunctionCoverage[] = [];
    this.#session.post("Profiler.takePreciseCoverage", (error, { result }) => {
      if (error !== null) throw error;
      found = result.filter(({ url }) => url.includes(SOURCES)).flatMap(({ functions }) => functions);
    });
    return found;
  }

  [Symbol.dispose](): void {
    this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }
}
