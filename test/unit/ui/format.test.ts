import { expect, test } from "vitest";
import { ago, count, counted, decades, duration, span } from "../../../src/ui/format.ts";

test.each([
  [0, "0"],
  [0.4219, "0.42 ms"],
  [4, "4 ms"],
  [42.4, "42 ms"],
  [4_230, "4.2 s"],
  [90_000, "90 s"],
  [600_000, "10 min"],
])("%d ms last %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test.each([
  [-5, "0 s"],
  [99_000, "99 s"],
  [240_000, "4 min"],
  [7_200_000, "2 h"],
  [864_000_000, "10 d"],
])("%d ms span %s", (ms, text) => {
  expect(span(ms)).toBe(text);
});

test.each([
  [0, "not yet"],
  [9_000, "now"],
  [1, "10 s ago"],
])("%d is %s", (unixMs, text) => {
  expect(ago(unixMs, 10_000)).toBe(text);
});

test("numbers have separators and their nouns a plural", () => {
  expect([count(10_000), counted(1, "error"), counted(0, "error"), counted(2_000, "error")]).toEqual([
    "10,000",
    "1 error",
    "0 errors",
    "2,000 errors",
  ]);
});

test.each([
  [
    [3, 42],
    [1, 10, 100],
  ],
  [[5], [1, 10]],
  [[10], [10, 100]],
  [
    [0, 0.5],
    [0.1, 1],
  ],
])("the scale of %j is %j", (values, scale) => {
  expect(decades(values).map((value) => Number(value.toPrecision(3)))).toEqual(scale);
});
