import { expect, test } from "vitest";
import { UnixTimes } from "../../../../src/serve/metrics/unix-times.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";

const HOUR_MS = 3_600_000;

test("a time keeps its exact value while the wall clock is slewed, and is never in the future after a step", async () => {
  const clock = new HandClock();
  const times = new UnixTimes(clock);
  const atMs = clock.now();
  const wallS = () => clock.date().getTime() / 1000;
  const first = times.seconds(atMs);
  expect(first).toBe(wallS());
  for (const slewMs of [1, -2, 1, 300, -600]) {
    clock.stepWall(slewMs);
    expect(times.seconds(atMs)).toBe(first);
  }
  await clock.advance(60_000);
  for (const stepMs of [-2 * HOUR_MS, 4 * HOUR_MS, -1_200_000]) {
    clock.stepWall(stepMs);
    expect(times.seconds(atMs)).toBe(wallS() - 60);
  }
});

test("the time of an event that never happened stays 0", () => {
  expect(new UnixTimes(new HandClock()).seconds(0)).toBe(0);
});
