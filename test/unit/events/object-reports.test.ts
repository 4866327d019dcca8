import { expect, test } from "vitest";
import { ObjectReports } from "../../../src/events/object-reports.ts";
import type { EventRecord } from "../../../src/model/cluster/event-record.ts";
import { type Problem, problemFields, problemObject } from "../../../src/model/cluster/problem.ts";

function setUp() {
  const world = { nowMs: 1_000_000, lines: [] as { fields: object; message: string }[], recorded: [] as EventRecord[] };
  const reports = new ObjectReports("n1", {
    clock: { now: () => world.nowMs },
    logger: {
      warn: (fields, message) => void world.lines.push({ fields, message }),
      info: (fields, message) => void world.lines.push({ fields, message }),
    },
    recordEvent: (event) => void world.recorded.push(event),
  });
  const rejected = () => world.lines.filter(({ message }) => message === "rejected").length;
  const leftOut = () => world.lines.filter(({ message }) => message !== "rejected").map(({ fields }) => fields);
  return { world, reports, rejected, leftOut };
}

const wrong = (service: string, count = 11): readonly Problem[] =>
  Array.from({ length: count }, (_, index) => ({
    object: problemObject("Service", service),
    field: "spec",
    value: `${index}`,
    reason: "is wrong",
  }));

test("each problem is a log line and an Event", () => {
  const { world, reports, leftOut } = setUp();
  reports.report(wrong("shop/web", 2), []);
  expect(world.lines.map(({ fields }) => fields)).toEqual(wrong("shop/web", 2).map(problemFields));
  expect(world.recorded.map(({ note }) => note)).toEqual(['spec "0" is wrong', 'spec "1" is wrong']);
  expect(leftOut()).toEqual([]);
});

test("an object that changes again and again is reported twice a minute, and another object without a limit", () => {
  const { world, reports, rejected, leftOut } = setUp();
  for (let update = 0; update < 3_600; update++) {
    reports.report(wrong("mallory/web"), []);
    world.nowMs += 1_000;
  }
  expect(rejected()).toBe(25 + 119);
  expect(world.recorded).toHaveLength(rejected());
  // The first minute reports the begin, and each later minute the number of reports that were left out.
  expect(leftOut()).toHaveLength(60);
  reports.report(wrong("shop/web"), []);
  expect(rejected()).toBe(25 + 119 + 11);
});

test("a problem that begins and ends counts twice", () => {
  const { world, reports } = setUp();
  for (let change = 0; change < 100; change++) {
    reports.report(wrong("mallory/web", 1), []);
    reports.report([], wrong("mallory/web", 1));
  }
  expect(world.lines.filter(({ message }) => message === "no longer rejected")).toHaveLength(12);
  expect(world.recorded).toHaveLength(13);
});

test("10,000 invalid objects are 1,000 log lines and one with the number left out, then a line a second", () => {
  const { world, reports, rejected, leftOut } = setUp();
  reports.report(Array.from({ length: 10_000 }, (_, index) => wrong(`mallory/web-${index}`)).flat(), []);
  expect(rejected()).toBe(1_000);
  expect(leftOut()).toEqual([{ leftOut: 109_000 }]);
  for (let second = 0; second < 600; second++) {
    world.nowMs += 1_000;
    reports.report(wrong(`mallory/later-${second}`), []);
  }
  expect(rejected()).toBe(1_600);
});
