import { setImmediate } from "node:timers/promises";
import fc from "fast-check";

const { STRESS = "1" } = process.env;
/** What `npm run test:stress` sets. */
const FULL_STRESS = 20;

/** How many cases a property is tried with: a number for `npm run check`, which must be short, and one for `npm run test:stress`. */
export function cases(short: number, full: number): number {
  return STRESS === "1" ? short : Math.ceil((full * Number(STRESS)) / FULL_STRESS);
}

/** Cases of a property without waits that run in one turn of the event loop. */
const BATCH = 1_000;

/**
 * Tries a property that waits for nothing with so many cases. The event loop has turns in between: vitest gives up a worker that is
 * silent for a minute.
 */
export async function assertInBatches<Values>(property: fc.IProperty<Values>, numRuns: number): Promise<void> {
  for (let left = numRuns; left > 0; left -= BATCH) {
    fc.assert(property, { numRuns: Math.min(left, BATCH) });
    await setImmediate();
  }
}
