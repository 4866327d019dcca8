import { expect, test } from "vitest";
import { History, STEP_MS } from "../../../../src/explain/page/history.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";

const sync = (durationMs: number) => ({ durationMs, operations: [], drift: [] });
const DRIFT = [{ object: "real-server", kind: "missing", count: 3 }] as const;

function world() {
  const clock = new HandClock();
  return { clock, history: new History(clock) };
}

test("syncs and latencies of ten seconds are one point, with their mean and the longest", async () => {
  const { clock, history } = world();
  for (const ms of [1, 2, 6]) history.record(sync(ms));
  history.recordProgrammed("IPv4", 40.126);
  expect(history.points()).toEqual([
    {
      step: Math.floor(clock.now() / STEP_MS),
      atUnixMs: clock.date().getTime() - (clock.now() % STEP_MS),
      syncs: 3,
      syncMeanMs: 3,
      syncMaxMs: 6,
      changes: 1,
      programmingMeanMs: 40.13,
      programmingMaxMs: 40.13,
      failed: 0,
    },
  ]);
  await clock.advance(STEP_MS);
  history.record({ ...sync(5), operations: [{ kind: "bind-address", errno: "ENODEV", count: 2 }] });
  expect(history.points().map(({ syncs, failed }) => [syncs, failed])).toEqual([
    [3, 0],
    [1, 2],
  ]);
  expect(history.points(1)).toEqual([history.points()[1]]);
});

test("an hour is kept, and pauses take no memory", async () => {
  const { clock, history } = world();
  for (let step = 0; step < 500; step++) {
    history.record(sync(1));
    await clock.advance(STEP_MS);
  }
  const points = history.points();
  expect(points.length).toBe(359);
  expect(points.at(-1)?.step).toBe(Math.floor(clock.now() / STEP_MS) - 1);
  await clock.advance(3_600_000);
  expect(history.points()).toEqual([]);
});

test("the last twenty drifts are kept, the newest first, and those without a difference are not", async () => {
  const { clock, history } = world();
  history.recordResync({ drift: [] });
  history.record(sync(1));
  expect(history.drift()).toEqual([]);
  for (let number = 0; number < 30; number++) {
    history.recordResync({ drift: DRIFT });
    await clock.advance(1_000);
  }
  const drift = history.drift();
  expect(drift.length).toBe(20);
  expect(drift[0]).toEqual({ atUnixMs: clock.date().getTime() - 1_000, drift: DRIFT });
});
