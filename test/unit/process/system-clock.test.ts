import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/process/system-clock.ts";

describe("a sleep", () => {
  const DAY_MS = 86_400_000;

  test.each([25 * DAY_MS, 2 ** 31, 2 ** 32 + 1, 1e12, Number.MAX_VALUE, Number.POSITIVE_INFINITY])(
    "of %d ms exceeds the range of a timer, and does not end at once",
    async (ms) => {
      const stop = new AbortController();
      const woken: string[] = [];
      const long = systemClock.sleep(ms, stop.signal).then(() => woken.push("long"));
      await systemClock.sleep(10, stop.signal).then(() => woken.push("short"));
      expect(woken).toEqual(["short"]);
      stop.abort();
      await long;
    },
  );

  test.each([0, -1, Number.NEGATIVE_INFINITY])("of %d ms ends", async (ms) => {
    await systemClock.sleep(ms, new AbortController().signal);
  });

  test("of NaN ms is an error", async () => {
    await expect(systemClock.sleep(Number.NaN, new AbortController().signal)).rejects.toThrow("NaN ms");
  });

  test.each([0.4, 1.5, 7.3])("of %d ms does not end early", async (ms) => {
    const startMs = systemClock.now();
    await systemClock.sleep(ms, new AbortController().signal);
    expect(systemClock.now()).toBeGreaterThanOrEqual(startMs + ms);
  });

  test("ends at once when its signal is aborted, before or meanwhile", async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(Number.POSITIVE_INFINITY, stop.signal);
    stop.abort();
    await sleeping;
    await systemClock.sleep(Number.POSITIVE_INFINITY, stop.signal);
  });
});

test("the monotonic time is above 0, and independent of the wall clock", () => {
  expect(systemClock.now()).toBeGreaterThan(0);
  expect(systemClock.date().getTime() - systemClock.now()).toBeGreaterThan(0);
});
