import { expect, test } from "vitest";
import { problemObject, type Rejection } from "../../../../src/model/cluster/problem.ts";
import { RejectionLedger } from "../../../../src/sources/api/rejection-ledger.ts";
import { HandClock, settle } from "../../../support/api/hand-clock.ts";

const wrong = (value: string): Rejection => ({
  object: problemObject("Service", "demo/a"),
  field: "spec",
  value,
  reason: "wrong",
});

test("rejections of objects are told when they change, gathered over 200 ms, and not when they are only said again", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const ledger = new RejectionLedger();
  const told: unknown[] = [];
  const running = ledger.run(clock, stop.signal, (count, fresh) => void told.push([count, fresh.length]));
  const news = async () => {
    await clock.advance(200);
    return told.splice(0);
  };
  ledger.record("a", [wrong("1"), wrong("2")]);
  ledger.record("b", [wrong("3")]);
  await clock.advance(199);
  expect(told).toEqual([]);
  expect(await news()).toEqual([[3, 3]]);
  ledger.record("a", [wrong("1"), wrong("2")]);
  expect(await news()).toEqual([]);
  ledger.record("a", [wrong("1"), wrong("4")]);
  expect(await news()).toEqual([[3, 1]]);
  ledger.record("b", []);
  expect(await news()).toEqual([[2, 0]]);
  ledger.record("b", [wrong("5")]);
  await settle();
  stop.abort();
  await running;
  expect(told).toEqual([]);
});

test("10,000 wrong objects of a first list are told 100 at a time, and each once", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const ledger = new RejectionLedger();
  const told: string[][] = [];
  const running = ledger.run(clock, stop.signal, (_count, fresh) => void told.push(fresh.map(({ value }) => value)));
  for (let number = 0; number < 10_000; number++) ledger.record(`${number}`, [wrong(`${number}`)]);
  for (let round = 0; round < 110; round++) await clock.advance(200);
  expect(told.map((one) => one.length)).toEqual(Array.from({ length: 100 }, () => 100));
  expect(new Set(told.flat()).size).toBe(10_000);
  stop.abort();
  await running;
});
