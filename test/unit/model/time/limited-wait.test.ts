import { describe, expect, test } from "vitest";
import { LimitedWait } from "../../../../src/model/time/limited-wait.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";

describe("a limited wait", () => {
  test("ends after its time and aborts its signal", async () => {
    const clock = new HandClock();
    const wait = new LimitedWait(new AbortController().signal, new Error("no response in time"));
    const waiting = wait.atMost(1_000, clock);
    await clock.advance(999);
    expect(wait.signal.aborted).toBe(false);
    await clock.advance(1);
    await waiting;
    expect(wait.signal.reason).toEqual(new Error("no response in time"));
  });

  test("ends at once when it is ended or its parent is aborted, before the wait or during it", async () => {
    const clock = new HandClock();
    const parent = new AbortController();
    const [ended, aborted] = [new LimitedWait(parent.signal), new LimitedWait(parent.signal)];
    const waiting = Promise.all([ended.atMost(1_000, clock), aborted.atMost(1_000, clock)]);
    ended.end();
    expect(aborted.signal.aborted).toBe(false);
    parent.abort();
    await waiting;
    await new LimitedWait(parent.signal).atMost(1_000, clock);
    expect(clock.now()).toBe(new HandClock().now());
  });
});
