import { expect, test } from "vitest";
import { compare, comparisonText } from "../../../bench/report/compare.ts";
import type { Figure } from "../../../bench/report/figure.ts";

const figure = (value: number, low: number, high: number, n = 3, metric = "cold start"): Figure => ({
  ...{ subject: "kube-ipvs", size: "100x10", scenario: "sync", metric, unit: "ms", warmUp: 0 },
  ...{ value, low, high, n },
});
const verdict = (old: Figure, fresh: Figure) => compare([old], [fresh]).map((one) => one.verdict);

test.each([
  ["larger, and no sample overlaps", figure(100, 95, 105), figure(120, 115, 125), "worse"],
  ["smaller, and no sample overlaps", figure(100, 95, 105), figure(80, 75, 90), "better"],
  ["samples overlap", figure(100, 95, 118), figure(120, 115, 125), "within the spread"],
  ["by less than 5 %", figure(100, 100, 100), figure(104, 104, 104), "within the spread"],
  ["one sample differs by 14 %", figure(100, 100, 100, 1), figure(114, 114, 114, 1), "within the spread"],
  ["one sample differs by 20 %", figure(100, 100, 100, 1), figure(120, 120, 120, 1), "worse"],
  ["from 0", figure(0, 0, 0), figure(2, 2, 2), "worse"],
] as const)("%s", (_, old, fresh, expected) => {
  expect(verdict(old, fresh)).toEqual([expected]);
});

test("figures of one run only are listed, and the worse ones come first", () => {
  const old = [figure(1, 1, 1, 3, "same"), figure(100, 95, 105), figure(1, 1, 1, 3, "gone")];
  const fresh = [figure(1, 1, 1, 3, "same"), figure(200, 195, 205), figure(1, 1, 1, 3, "fresh")];
  const lines = comparisonText(compare(old, fresh)).trimEnd().split("\n");
  expect(lines[2]).toBe(
    "| 100x10, kube-ipvs, sync: cold start | 100 ms (95-105, n 3) | 200 ms (195-205, n 3) | 2 | worse |",
  );
  expect(lines.at(-1)).toBe("1 worse, 1 within the spread, 1 only old, 1 only new");
});
