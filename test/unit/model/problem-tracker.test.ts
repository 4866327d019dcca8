import { describe, expect, test } from "vitest";
import { changesBetween, ProblemTracker } from "../../../src/model/problem-tracker.ts";

const NOTHING = { begun: [], ended: [] };

test("a problem is reported when it begins, when its text changes and when it ends, and not in between", () => {
  const tracker = new ProblemTracker<string>();
  const step = (text: string | undefined) => {
    if (text === undefined) tracker.clear("a");
    else tracker.set("a", text, text);
    return tracker.takeChanges(0);
  };
  expect(step("EPERM")).toEqual({ begun: ["EPERM"], ended: [] });
  expect(step("EPERM")).toEqual(NOTHING);
  expect(step("ENOMEM")).toEqual({ begun: ["ENOMEM"], ended: [] });
  expect(step(undefined)).toEqual({ begun: [], ended: ["ENOMEM"] });
  expect(step(undefined)).toEqual(NOTHING);
  expect(step("ENOMEM")).toEqual({ begun: ["ENOMEM"], ended: [] });
});

test("a problem that begins and ends between two reports is not reported", () => {
  const tracker = new ProblemTracker<string>();
  tracker.set("short", "short", "short");
  tracker.clear("short");
  expect(tracker.takeChanges(0)).toEqual(NOTHING);
  tracker.set("long", "long", "long");
  tracker.takeChanges(0);
  tracker.clear("long");
  tracker.set("long", "long", "long");
  expect(tracker.takeChanges(0)).toEqual(NOTHING);
  expect([...tracker.standing()]).toEqual(["long"]);
});

test("a replacement ends the problems that it does not contain", () => {
  const tracker = new ProblemTracker<number>();
  tracker.replace([
    ["a", 1],
    ["b", 2],
  ]);
  expect(tracker.takeChanges(0)).toEqual({ begun: [1, 2], ended: [] });
  tracker.replace([
    ["b", 2],
    ["c", 3],
  ]);
  expect(tracker.takeChanges(0)).toEqual({ begun: [3], ended: [1] });
  expect(tracker.size).toBe(2);
});

describe("with limits", () => {
  const limited = () => new ProblemTracker<string>({ kept: 3, burst: 2, refillMs: 1_000 });
  const fail = (tracker: ProblemTracker<string>, ...keys: readonly string[]) => {
    for (const key of keys) tracker.set(key, key, key);
  };

  test("a limited number of problems is kept, and a problem that is not kept has no end", () => {
    const tracker = limited();
    fail(tracker, "a", "b", "c", "d");
    expect([...tracker.standing()]).toEqual(["a", "b", "c"]);
    tracker.clear("d");
    tracker.clear("a");
    fail(tracker, "e");
    expect([...tracker.standing()]).toEqual(["b", "c", "e"]);
  });

  test("begins are reported at a limited rate, and a delayed one is reported later if it still stands", () => {
    const tracker = limited();
    fail(tracker, "a", "b", "c");
    expect(tracker.takeChanges(0)).toEqual({ begun: ["a", "b"], ended: [] });
    expect(tracker.takeChanges(999)).toEqual(NOTHING);
    expect(tracker.takeChanges(1_000)).toEqual({ begun: ["c"], ended: [] });
    tracker.clear("a");
    fail(tracker, "d");
    expect(tracker.takeChanges(1_001)).toEqual({ begun: [], ended: ["a"] });
    tracker.clear("d");
    expect(tracker.takeChanges(9_000)).toEqual(NOTHING);
  });
});

test("begins and ends between two states are determined by the texts", () => {
  const before = new Map([
    ["a", 1],
    ["b", 2],
  ]);
  const after = new Map([
    ["b", 3],
    ["c", 4],
  ]);
  expect(changesBetween(before, after)).toEqual({ begun: [4], ended: [1] });
  expect(changesBetween(before, before)).toEqual({ begun: [], ended: [] });
});
