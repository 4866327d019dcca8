/**
 * Work that is done step by step: each step yields how many units of work it was, one for about a microsecond, so that
 * others can have their turn between two steps. In the end there is a result.
 */
export type Steps<Result> = Generator<number, Result>;

/** So many units of work are a step. */
export const STEP = 256;

/** The result of all steps, done at once. */
export function finish<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
