import { promisify } from "node:util";
import { expect, test } from "vitest";
import { PATIENCE, patienceFor, patienceOf, patient, QUIET } from "../support/time/patience.ts";
import { withPatientLimits } from "../support/time/runner-limits.ts";

test.each([
  [undefined, 1],
  ["", 1],
  ["1", 1],
  ["2.5", 2.5],
  ["40", 40],
] as const)("PATIENCE %j is the factor %d", (text, factor) => {
  expect(patienceOf(text)).toBe(factor);
});

test.each(["0", "0.9", "-2", "two", "NaN", "Infinity", "1e9"])("PATIENCE %j is refused", (text) => {
  expect(() => patienceOf(text)).toThrow(`PATIENCE is "${text}", not a number from 1 to 1000`);
});

test("a limit is as many times longer", () => {
  expect(patient(1_000) / 1_000).toBeCloseTo(PATIENCE);
});

test.each([
  ["a quiet machine", [QUIET, QUIET], 4],
  ["a machine that is faster", [{ nodeStartMs: QUIET.nodeStartMs / 3 }], 4],
  ["guests of which one shares its CPU with two other programs", [QUIET, { ...QUIET, systemCallUs: 43.5 }], 12],
  ["the slow machine of 72 us a system call", [{ ...QUIET, systemCallUs: 72 }], 20],
  ["a host without guests that starts Node in three times the time", [{ nodeStartMs: 3 * QUIET.nodeStartMs }], 12],
] as const)("patience follows from what was measured: %s", (_, measured, patience) => {
  expect(patienceFor(measured)).toBe(patience);
});

test.each([
  [undefined, 0],
  [59_999, 59_999],
  [60_000, patient(60_000)],
  [2 ** 31 - 1, 2 ** 31 - 1],
] as const)("a timer of vitest of %s ms becomes one of %d ms", (ms, expected) => {
  const timers: unknown[][] = [];
  const original = Object.assign((...args: unknown[]) => timers.push(args), { __promisify__: undefined });
  const run = (_argument: string) => undefined;
  withPatientLimits(original as never)(run, ms, "argument"); // only called
  expect(timers).toEqual([[run, expected, "argument"]]);
});

test("a timer whose limit is patient can still be waited for", async () => {
  expect(await promisify(withPatientLimits(setTimeout))(1, "value")).toBe("value");
});
