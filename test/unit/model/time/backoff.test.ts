import { expect, test } from "vitest";
import { Backoff } from "../../../../src/model/time/backoff.ts";

const RECONNECT = { initialMs: 800, maxMs: 30_000, resetAfterMs: 120_000 };

test.each([
  ["without luck", 0, [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]],
  ["with all of it", 1, [1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]],
])("waits double up to the limit, %s", (_, luck, waits) => {
  const backoff = new Backoff(RECONNECT, () => luck);
  expect(waits.map(() => backoff.next(0))).toEqual(waits);
});

test.each([
  [119_999, 3200],
  [120_000, 800],
])("%i ms after the end of the second wait the third is %i ms", (quietMs, waitMs) => {
  const backoff = new Backoff(RECONNECT, () => 0);
  const first = backoff.next(1000);
  const second = backoff.next(1000 + first);
  expect(backoff.next(1000 + first + second + quietMs)).toBe(waitMs);
});
