import { describe, expect, test } from "vitest";
import { dateOf, timeOf } from "../../../../src/model/time/clock.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";

const HOUR_MS = 3_600_000;

describe("the wall clock is set by", () => {
  test.each([0, 2 * HOUR_MS, -2 * HOUR_MS])("%d ms: an old time keeps its age", async (stepMs) => {
    const clock = new HandClock();
    const atMs = clock.now();
    await clock.advance(1_000);
    clock.stepWall(stepMs);
    await clock.advance(500);
    expect(clock.date().getTime() - dateOf(atMs, clock).getTime()).toBe(1_500);
  });
});

describe("a time of the API", () => {
  test("in the past has its age by the wall clock", () => {
    const clock = new HandClock();
    expect(timeOf(clock.date().getTime() - 700, clock)).toBe(clock.now() - 700);
  });

  test.each([1, 2 * HOUR_MS])("%d ms in the future counts as now", (aheadMs) => {
    const clock = new HandClock();
    expect(timeOf(clock.date().getTime() + aheadMs, clock)).toBe(clock.now());
  });
});
