import { describe, expect, test } from "vitest";
import {
  EventCorrelator,
  type EventLimits,
  type EventWrite,
  type WriteOutcome,
} from "../../../src/events/event-correlator.ts";
import type { EventRecord } from "../../../src/model/cluster/event-record.ts";
import { aboutNode, aboutService } from "../../support/objects/event-records.ts";

const LIMITS: EventLimits = {
  burst: 3,
  refillMs: 100,
  events: 4,
  waiting: 4,
  seriesMs: 1000,
  forgetMs: 5000,
  spreadMs: 500,
  attempts: 3,
};

function book(limits: Partial<EventLimits> = {}, random = () => 0) {
  return new EventCorrelator({ ...LIMITS, ...limits }, random);
}

/** The wall clock time at a time of the other clock. */
function wall(nowMs: number): Date {
  return new Date(1_800_000_000_000 + nowMs);
}

function add(one: EventCorrelator, event: EventRecord, nowMs: number): void {
  one.add(event, nowMs, wall(nowMs));
}

/** The write that may be made at this time. */
function taken(one: EventCorrelator, nowMs: number): EventWrite {
  const next = one.next(nowMs);
  if (typeof next === "number") throw new Error(`not before ${next}`);
  return next;
}

/** Makes the write of this time and lets it end like this. */
function written(one: EventCorrelator, nowMs: number, outcome: WriteOutcome = "done"): EventWrite {
  const write = taken(one, nowMs);
  one.settle(write, outcome, nowMs);
  return write;
}

describe("an event", () => {
  test("is written at once, and then nothing is left to write", () => {
    const one = book();
    expect(one.next(0)).toBe(Number.POSITIVE_INFINITY);
    add(one, aboutNode("n"), 10);
    expect(written(one, 10)).toEqual({
      kind: "create",
      record: aboutNode("n"),
      first: wall(10),
      last: wall(10),
      count: 1,
    });
    expect(one.next(10)).toBe(Number.POSITIVE_INFINITY);
    expect(one.counts).toEqual({ sent: 1, known: 0, dropped: 0, failed: 0 });
  });

  test("that all nodes detect waits for a random part of the spread", () => {
    const one = book({}, () => 0.5);
    add(one, aboutService("a/b"), 10);
    expect(one.next(10)).toBe(260);
    expect(written(one, 260)).toMatchObject({ kind: "create", first: wall(10) });
  });

  test("that repeats before it was written is one Event with its count", () => {
    const one = book();
    for (const nowMs of [10, 20, 30]) add(one, aboutNode("n"), nowMs);
    expect(written(one, 30)).toMatchObject({ kind: "create", first: wall(10), last: wall(30), count: 3 });
    expect(one.next(30)).toBe(Number.POSITIVE_INFINITY);
  });

  test("that repeats after it was written is a series, updated after the series period", () => {
    const one = book();
    add(one, aboutNode("n"), 10);
    written(one, 10);
    for (const nowMs of [20, 30]) add(one, aboutNode("n"), nowMs);
    expect(one.next(30)).toBe(1010);
    expect(written(one, 1010)).toMatchObject({ kind: "repeat", first: wall(10), last: wall(30), count: 3 });
    add(one, aboutNode("n"), 1020);
    expect(one.next(1020)).toBe(2010);
  });

  test("is another one if one of its texts differs", () => {
    const one = book({ burst: 9 });
    const events = [aboutNode("n"), aboutNode("m"), aboutNode("n", "else"), aboutService("a/n")];
    for (const event of events) add(one, event, 0);
    expect(events.map(() => written(one, 0).record)).toEqual(events);
  });

  test("that was not repeated for long is a new Event when it repeats", () => {
    const one = book();
    add(one, aboutNode("n"), 0);
    written(one, 0);
    add(one, aboutNode("n"), 5000);
    expect(written(one, 5000)).toMatchObject({ kind: "create", first: wall(5000), count: 1 });
  });

  test("that was not written yet is kept at any age", () => {
    const one = book();
    add(one, aboutNode("n"), 0);
    add(one, aboutNode("n"), 9000);
    expect(written(one, 9000)).toMatchObject({ kind: "create", first: wall(0), count: 2 });
  });
});

describe("with too many events", () => {
  test("a burst is written at once and the rest one by one", () => {
    const one = book({ events: 9, waiting: 9 });
    for (const name of ["a", "b", "c", "d", "e"]) add(one, aboutNode(name), 0);
    for (const _ of [1, 2, 3]) written(one, 0);
    expect(one.next(0)).toBe(100);
    written(one, 100);
    expect(one.next(100)).toBe(200);
    written(one, 250);
    add(one, aboutNode("f"), 260);
    expect(one.next(260)).toBe(300);
  });

  test("an event without room is dropped, and counted each time", () => {
    const one = book();
    for (const name of ["a", "b", "c", "d", "e", "e"]) add(one, aboutNode(name), 0);
    expect(one.counts.dropped).toBe(2);
    // A waiting event may still repeat.
    add(one, aboutNode("a"), 1);
    expect(one.counts.dropped).toBe(2);
  });

  test("of 10,000 invalid Services, and of the problems of one of them, a bounded number waits, and events of the node go first", () => {
    const one = book({ events: 40, waiting: 3, burst: 2 });
    for (let number = 0; number < 10_000; number++) add(one, aboutService(`mallory/web-${number}`), 0);
    expect(one.counts.dropped).toBe(9_960);
    add(one, aboutNode("n"), 1);
    expect(written(one, 1).record).toEqual(aboutNode("n"));
    expect(written(one, 1).record).toEqual(aboutService("mallory/web-0"));
    add(one, aboutNode("n", "again"), 2);
    expect(one.next(2)).toBeGreaterThan(2);
    expect(written(one, 201).record).toEqual(aboutNode("n", "again"));

    const other = book({ events: 40, waiting: 3 });
    for (let number = 0; number < 10_000; number++) add(other, aboutService("mallory/web", `wrong ${number}`), 0);
    expect(other.counts.dropped).toBe(9_997);
    add(other, aboutService("shop/web"), 0);
    expect(other.counts.dropped).toBe(9_997);
  });

  test("room is made by forgetting the written event that was recorded longest ago", () => {
    const one = book({ burst: 9 });
    for (const [index, name] of ["a", "b", "c", "d"].entries()) {
      add(one, aboutNode(name), index);
      written(one, index);
    }
    add(one, aboutNode("a"), 10);
    add(one, aboutNode("e"), 11);
    expect(written(one, 11)).toMatchObject({ kind: "create", record: aboutNode("e") });
    // "b" is forgotten, "c" is not.
    add(one, aboutNode("c"), 12);
    expect(one.next(12)).toBe(1000);
    expect(one.counts.dropped).toBe(0);
  });
});

describe("a write that ends", () => {
  test("lost is retried unchanged, and given up at last", () => {
    const one = book({ burst: 9 });
    add(one, aboutNode("n"), 0);
    const first = written(one, 0, "lost");
    expect(written(one, 1, "lost")).toEqual(first);
    expect(written(one, 2, "lost")).toEqual(first);
    expect(one.next(3)).toBe(Number.POSITIVE_INFINITY);
    expect(one.counts).toEqual({ sent: 0, known: 0, dropped: 0, failed: 1 });
    add(one, aboutNode("n"), 4);
    expect(written(one, 4)).toMatchObject({ kind: "create", first: wall(4), count: 1 });
  });

  test("lost still takes a token", () => {
    const one = book({ burst: 1 });
    add(one, aboutNode("n"), 0);
    written(one, 0, "lost");
    expect(one.next(0)).toBe(100);
  });

  test.each(["refused", "known"] as const)("%s is the last for this event, until it is a new one", (outcome) => {
    const one = book();
    add(one, aboutService("a/b"), 0);
    written(one, 0, outcome);
    add(one, aboutService("a/b"), 4999);
    expect(one.next(4999)).toBe(Number.POSITIVE_INFINITY);
    expect(one.counts).toMatchObject(outcome === "known" ? { known: 1, failed: 0 } : { known: 0, failed: 1 });
    add(one, aboutService("a/b"), 9999);
    expect(written(one, 9999)).toMatchObject({ kind: "create" });
  });

  test("known after it was lost has arrived, and its series is ours", () => {
    const one = book({ burst: 9 });
    add(one, aboutService("a/b"), 0);
    written(one, 0, "lost");
    written(one, 1, "known");
    add(one, aboutService("a/b"), 2);
    expect(one.next(2)).toBe(1001);
    expect(written(one, 1001)).toMatchObject({ kind: "repeat", count: 2 });
  });

  test("known is ours when it is about the node", () => {
    const one = book();
    add(one, aboutNode("n"), 0);
    written(one, 0, "known");
    add(one, aboutNode("n"), 2);
    expect(written(one, 1000)).toMatchObject({ kind: "repeat", count: 2 });
  });

  test("gone begins a new Event with the repetitions that were not written", () => {
    const one = book({ burst: 9 });
    for (const nowMs of [0, 1, 2]) add(one, aboutNode("n"), nowMs);
    written(one, 2);
    for (const nowMs of [10, 11]) add(one, aboutNode("n"), nowMs);
    written(one, 1002, "gone");
    expect(written(one, 1002)).toEqual({
      kind: "create",
      record: aboutNode("n"),
      first: wall(11),
      last: wall(11),
      count: 2,
    });
  });

  test("while the event repeats keeps the repetition", () => {
    const one = book();
    add(one, aboutNode("n"), 0);
    const write = taken(one, 0);
    add(one, aboutNode("n"), 1);
    one.settle(write, "done", 2);
    expect(written(one, 1002)).toMatchObject({ kind: "repeat", count: 2 });
  });
});
