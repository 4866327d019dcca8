import { expect, test } from "vitest";
import { median, percentile, percentileSpread, short, spreadOf } from "../../../bench/report/statistics.ts";

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test("percentiles are by nearest rank", () => {
  expect([0, 0.5, 0.99, 1].map((share) => percentile(upTo(200), share))).toEqual([1, 100, 198, 200]);
  expect(percentile([7], 0.5)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
});

test("the median of an even number of samples is between the two in the middle", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([3, 1, 2])).toBe(2);
});

test("the spread of rounds is from the least to the largest", () => {
  expect(spreadOf([3, 1, 2])).toEqual({ value: 2, low: 1, high: 3 });
});

test("the spread of a percentile is that of consecutive parts, so that a slow second shows", () => {
  const quiet = Array.from({ length: 80 }, () => 1);
  const slow = Array.from({ length: 20 }, () => 5);
  expect(percentileSpread([...quiet, ...slow], 0.5)).toEqual({ value: 1, low: 1, high: 5 });
  expect(percentileSpread([...quiet, ...quiet], 0.5)).toEqual({ value: 1, low: 1, high: 1 });
});

test("few samples have the spread of all of them", () => {
  expect(percentileSpread([1, 2, 9], 0.5)).toEqual({ value: 2, low: 1, high: 9 });
});

test("numbers are shown with three digits", () => {
  expect([1234.5, 0.012345].map(short)).toEqual([1230, 0.0123]);
});
