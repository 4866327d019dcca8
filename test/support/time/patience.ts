const { PATIENCE: GIVEN } = process.env;

/** How many times longer than on a quiet machine a test may take before it fails: the environment's PATIENCE, by default 1. */
export const PATIENCE = patienceOf(GIVEN);

/** The factor that a text names, which is 1 or more; without a text 1. */
export function patienceOf(text = ""): number {
  const factor = text === "" ? 1 : Number(text);
  if (!(factor >= 1 && factor <= 1_000)) throw new Error(`PATIENCE is "${text}", not a number from 1 to 1000`);
  return factor;
}

/**
 * The time after which a test gives up on something that must come, from the time on a quiet machine. Every limit of a test is
 * one of these, for a wait ends when the thing is there: a longer limit costs only where the thing never comes. A time in which
 * nothing may happen is no limit and is not multiplied.
 */
export function patient(ms: number): number {
  return Math.ceil(ms * PATIENCE);
}

/** What was measured on one CPU. */
export interface Slowness {
  readonly nodeStartMs: number;
  /** Only where the suites run in guests. */
  readonly systemCallUs?: number;
}

/** What calibrate.ts measures on a quiet machine with two CPUs, 2026-11-29: 28 to 32 ms, and 14.8 to 16.6 us. */
export const QUIET: Required<Slowness> = { nodeStartMs: 30, systemCallUs: 14.8 };

/** The factor of a quiet machine: load that comes after the measurement, such as that of the suites, must not use up a limit. */
export const HEADROOM = 4;

/** The factor for a machine on whose CPUs this was measured: by its slowest CPU, never less than the headroom. */
export function patienceFor(measured: readonly Slowness[]): number {
  const ratios = measured.flatMap(({ nodeStartMs, systemCallUs = 0 }) => [
    nodeStartMs / QUIET.nodeStartMs,
    systemCallUs / QUIET.systemCallUs,
  ]);
  return Math.ceil(HEADROOM * Math.max(1, ...ratios));
}
