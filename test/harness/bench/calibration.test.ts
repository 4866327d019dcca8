import { expect, test } from "vitest";
import { type Calibration, noiseOf } from "../../../bench/cli/calibration.ts";

const quiet = (loopMs: number, parts: Partial<Calibration> = {}): Calibration => ({
  loopMs: Array.from({ length: 20 }, (_, index) => loopMs + index / 1000),
  nodeStartMs: [30],
  busyCpus: 0.05,
  ...parts,
});

test("a quiet machine has no noise, before and after", () => {
  expect(noiseOf(quiet(5))).toEqual([]);
  expect(noiseOf(quiet(5), quiet(5.5))).toEqual([]);
});

test.each([
  ["other programs", quiet(5, { busyCpus: 1.2 }), undefined, /^other programs kept 1.20 CPUs busy before the run$/],
  ["other programs at the end", quiet(5), quiet(5, { busyCpus: 0.5 }), /^other programs kept 0.50 CPUs busy after/],
  [
    "an uneven computation",
    quiet(5, { loopMs: [5, 5, 8, 9] }),
    undefined,
    /took up to 1.80 times its least time before/,
  ],
  ["a machine that became slower", quiet(5), quiet(10), /^the machine was 2.00 times as slow after/],
  ["a machine that became faster", quiet(10), quiet(5), /^the machine was 0.50 times as slow after/],
] as const)("%s is noise", (_, before, after, reason) => {
  const noise = noiseOf(before, after);
  expect(noise).toHaveLength(1);
  expect(noise[0]).toMatch(reason);
});
