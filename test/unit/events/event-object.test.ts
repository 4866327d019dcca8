import { describe, expect, test } from "vitest";
import type { EventWrite } from "../../../src/events/event-correlator.ts";
import { eventName, eventObject, eventsPath, seriesPatch } from "../../../src/events/event-object.ts";
import type { EventRecord } from "../../../src/model/cluster/event-record.ts";
import { unknownFields } from "../../support/api/schema.ts";
import { aboutNode, aboutService } from "../../support/objects/event-records.ts";

const AT_MS = Date.parse("2026-11-21T07:00:00.5Z");

function write(event: EventRecord, more: Partial<EventWrite> = {}): EventWrite {
  return { kind: "create", record: event, first: new Date(AT_MS), last: new Date(AT_MS), count: 1, ...more };
}

test("an Event about a Service is in its namespace and names it with its uid", () => {
  const one = write(aboutService("shop/web", 'spec.ports[0].port "99999" must be smaller'));
  expect(eventsPath(one.record.regarding)).toBe("/apis/events.k8s.io/v1/namespaces/shop/events");
  expect(eventObject(one, "node-1", "12-34")).toEqual({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: eventName(one), namespace: "shop" },
    eventTime: "2026-11-21T07:00:00.500000Z",
    reportingController: "kube-ipvs",
    reportingInstance: "kube-ipvs-node-1",
    type: "Warning",
    reason: "NotProxied",
    action: "Program",
    regarding: { apiVersion: "v1", kind: "Service", namespace: "shop", name: "web", uid: "12-34" },
    note: 'spec.ports[0].port "99999" must be smaller',
  });
});

test("an Event about a Node is in the namespace default", () => {
  const one = write(aboutNode("node-1"));
  expect(eventsPath(one.record.regarding)).toBe("/apis/events.k8s.io/v1/namespaces/default/events");
  expect(eventObject(one, "node-1", "")).toMatchObject({
    metadata: { namespace: "default" },
    regarding: { apiVersion: "v1", kind: "Node", name: "node-1" },
  });
});

test("an event that was recorded several times has its series from the start", () => {
  const one = write(aboutNode("n"), { count: 3, last: new Date(AT_MS + 1000) });
  expect(eventObject(one, "n", "")).toMatchObject(seriesPatch(one));
  expect(seriesPatch(one)).toEqual({ series: { count: 3, lastObservedTime: "2026-11-21T07:00:01.500000Z" } });
});

test("an Event has only fields that the API knows", () => {
  const one = write(aboutService("shop/web"), { count: 2 });
  expect(unknownFields(eventObject(one, "node-1", "12-34"), "EventsV1Event")).toEqual([]);
});

describe("the name of an Event", () => {
  test("is the same on all nodes and at all times for the problem of an object", () => {
    const one = eventName(write(aboutService("shop/web")));
    expect(
      eventName(write(aboutService("shop/web"), { first: new Date(1), last: new Date(2), count: 3, kind: "repeat" })),
    ).toBe(one);
    expect(one).toMatch(/^web\.[0-9a-f]{16}$/);
  });

  test("is the same for a series about a node, and another for the next one", () => {
    const one = eventName(write(aboutNode("node-1")));
    expect(eventName(write(aboutNode("node-1"), { last: new Date(AT_MS + 5), count: 9, kind: "repeat" }))).toBe(one);
    expect(eventName(write(aboutNode("node-1"), { first: new Date(AT_MS + 5) }))).not.toBe(one);
  });

  test("differs with every text of the event", () => {
    const base = aboutService("shop/web");
    const others: readonly EventRecord[] = [
      base,
      { ...base, type: "Normal" },
      { ...base, reason: "Other" },
      { ...base, action: "Other" },
      { ...base, note: "other" },
      { ...base, regarding: { ...base.regarding, namespace: "other" } },
      { ...base, regarding: { ...base.regarding, kind: "EndpointSlice" } },
    ];
    expect(new Set(others.map((event) => eventName(write(event)))).size).toBe(others.length);
  });

  test.each([
    ["n".repeat(253), `${"n".repeat(236)}.`],
    [`${"n".repeat(235)}.${"m".repeat(17)}`, `${"n".repeat(235)}.`],
    [`${"n".repeat(234)}-.${"m".repeat(17)}`, `${"n".repeat(234)}.`],
  ])("of a Node with a long name is still a name", (name, stem) => {
    const one = eventName(write(aboutNode(name)));
    expect(one.length).toBeLessThanOrEqual(253);
    expect(one.slice(0, -16)).toBe(stem);
  });
});

test("a note that is longer than the API allows is cut between characters", () => {
  const long = eventObject(write(aboutNode("n", `x${"🦊".repeat(300)}`)), `n${"o".repeat(252)}`, "");
  expect(long).toMatchObject({
    note: `x${"🦊".repeat(255)}…`,
    reportingInstance: expect.stringMatching(/^kube-ipvs-no+…$/),
  });
  const { note, reportingInstance } = long as { note: string; reportingInstance: string }; // as the match above shows
  expect([Buffer.byteLength(note), Buffer.byteLength(reportingInstance)]).toEqual([1024, 128]);
});
