import { expect, test } from "vitest";
import { type Problem, problemObject } from "../../../../src/model/cluster/problem.ts";
import { ProblemLog } from "../../../../src/sources/api/problem-log.ts";
import { HandClock, settle } from "../../../support/api/worlds/hand-clock.ts";

const wrong = (value: string): Problem => ({
  object: problemObject("Service", "demo/a"),
  field: "spec",
  value,
  reason: "wrong",
});

test("problems of objects are reported when they change, batched over 200 ms, and not when they are repeated", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const log = new ProblemLog();
  const told: unknown[] = [];
  const running = log.run(clock, stop.signal, (count, fresh) => void told.push([count, fresh.length]));
  const news = async () => {
    await clock.advance(200);
    return told.splice(0);
  };
  log.record("a", [wrong("1"), wrong("2")]);
  log.record("b", [wrong("3")]);
  await clock.advance(199);
  expect(told).toEqual([]);
  expect(await news()).toEqual([[3, 3]]);
  log.record("a", [wrong("1"), wrong("2")]);
  expect(await news()).toEqual([]);
  log.record("a", [wrong("1"), wrong("4")]);
  expect(await news()).toEqual([[3, 1]]);
  log.record("b", []);
  expect(await news()).toEqual([[2, 0]]);
  log.record("b", [wrong("5")]);
  await settle();
  stop.abort();
  await running;
  expect(told).toEqual([]);
});

test("10,000 invalid objects of a first list are reported 100 at a time, and each once", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const log = new ProblemLog();
  const told: string[][] = [];
  const running = log.run(clock, stop.signal, (_count, fresh) => void told.push(fresh.map(({ value }) => value)));
  for (let number = 0; number < 10_000; number++) log.record(`${number}`, [wrong(`${number}`)]);
  for (let round = 0; round < 110; round++) await clock.advance(200);
  expect(told.map((one) => one.length)).toEqual(Array.from({ length: 100 }, () => 100));
  expect(new Set(told.flat()).size).toBe(10_000);
  stop.abort();
  await running;
});
