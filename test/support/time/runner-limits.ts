import { patient } from "./patience.ts";

/** Timers of vitest from this on are limits. Its shorter ones are pauses. */
const SHORTEST_LIMIT_MS = 60_000;
/** Node lets a longer timer fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

type SetTimeout = typeof globalThis.setTimeout;

/**
 * The same function, whose limits are multiplied by the patience. vitest 5.1 has no option for some of its limits: a worker must
 * start within 60 s, which takes longer on a kernel in QEMU beside other load.
 */
export function withPatientLimits(original: SetTimeout): SetTimeout {
  const patientSetTimeout = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
    original(run, ms < SHORTEST_LIMIT_MS ? ms : Math.min(patient(ms), LONGEST_TIMER_MS), ...args);
  return Object.defineProperties(patientSetTimeout, Object.getOwnPropertyDescriptors(original)) as SetTimeout; // with its promisify
}
