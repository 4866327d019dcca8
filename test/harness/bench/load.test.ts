import { expect, test } from "vitest";
import type { Expectation } from "../../../bench/observer/observer.ts";
import { applyLoad, type Load } from "../../../bench/world/open-loop.ts";
import { randomSample } from "../../../bench/world/world.ts";

const expectation = (port: number): Expectation => ({
  ...{ protocol: "TCP", address: "10.96.0.1", port, served: true, present: [], absent: [] },
});

/** A kernel in which every change appears after so many polls. */
function kernelAfter(polls: number) {
  const left = new Map<number, number>();
  const holds = async (expectations: readonly Expectation[]) =>
    expectations.map(({ port }) => {
      left.set(port, (left.get(port) ?? polls) - 1);
      return (left.get(port) ?? 0) < 0;
    });
  return { observer: { holds, pauseMs: 1 } };
}

const load = (parts: Partial<Load>): Load => ({
  ...{ count: 20, meanPauseMs: 0.1, mostAwaited: Number.POSITIVE_INFINITY, observeOneIn: 1, check: () => {} },
  ...{ change: (number: number) => [expectation(number)] },
  ...parts,
});

test("every observed change has one latency", async () => {
  expect((await applyLoad(kernelAfter(2), load({}))).latencies).toHaveLength(20);
  expect((await applyLoad(kernelAfter(2), load({ observeOneIn: 5 }))).latencies).toHaveLength(4);
});

test("a change holds when all of its virtual servers do", async () => {
  const change = (number: number) => [expectation(2 * number), expectation(2 * number + 1)];
  expect((await applyLoad(kernelAfter(3), load({ change, count: 5 }))).latencies).toHaveLength(5);
});

test("no more changes are made than may be awaited", async () => {
  let made = 0;
  let arrived = 0;
  let most = 0;
  const { observer } = kernelAfter(1);
  const holds = async (expectations: readonly Expectation[]) => {
    most = Math.max(most, made - arrived);
    const held = await observer.holds(expectations);
    arrived += held.filter((isHeld) => isHeld).length;
    return held;
  };
  const change = (number: number) => {
    made++;
    return [expectation(number)];
  };
  await applyLoad({ observer: { holds, pauseMs: 1 } }, load({ change, mostAwaited: 2 }));
  expect([made, most]).toEqual([20, 2]);
});

test("a program that has ended ends the load", async () => {
  const check = () => {
    throw new Error("the program ended");
  };
  await expect(applyLoad(kernelAfter(1), load({ check }))).rejects.toThrow("the program ended");
});

test("a random sample has no item twice, and at most all", () => {
  const sample = randomSample([1, 2, 3, 4, 5], 3);
  expect(new Set(sample).size).toBe(3);
  expect(randomSample([1, 2, 3], 200).toSorted()).toEqual([1, 2, 3]);
});
