import { expect, test } from "vitest";
import { PATIENCE, patienceOf, patient } from "../support/patience.ts";

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
