/**
 * Work in steps: each step yields its number of units of work, where a unit takes about a microsecond, and other work
 * can run between two steps. The generator returns the result.
 */
export type Steps<Result> = Generator<number, Result>;

/** Units of work in one step. */
export const STEP = 256;

/** Runs all steps without a pause and returns the result. */
export function finish<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
