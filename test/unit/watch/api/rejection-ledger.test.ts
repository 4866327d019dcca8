import { expect, test } from "vitest";
import type { Rejection } from "../../../../src/model/service.ts";
import { RejectionLedger } from "../../../../src/watch/rejection-ledger.ts";
import { HandClock, settle } from "../../../support/api/hand-clock.ts";

const wrong = (value: string): Rejection => ({ object: "Service demo/a", field: "spec", value, reason: "wrong" });

test("what is wrong is told when it changes, gathered over 200 ms, and not when it is only said again", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const ledger = new RejectionLedger();
  const told: unknown[] = [];
  const running = ledger.run(clock, stop.signal, (all, fresh) => void told.push([all.length, fresh.length]));
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
