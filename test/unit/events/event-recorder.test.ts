import { describe, expect, onTestFinished, test } from "vitest";
import { EventRecorder } from "../../../src/events/event-recorder.ts";
import { ApiModel } from "../../support/api/api-model.ts";
import { HandClock, settle } from "../../support/api/worlds/hand-clock.ts";
import { type Fault, ModelTransport } from "../../support/api/worlds/model-transport.ts";
import { apiService } from "../../support/api/worlds/reported-cluster.ts";
import { SILENT_LOGGER } from "../../support/api/worlds/silent-logger.ts";
import { aboutNode, aboutService } from "../../support/objects/event-records.ts";

const SERVICES = "/api/v1/services";
const USER = "system:serviceaccount:kube-system:kube-ipvs";

/** A recorder in front of an API server without network. `faults` apply to its requests in turn. */
function world(model = new ApiModel(new HandClock()), clock = new HandClock()) {
  const transport = new ModelTransport(model);
  const faults: (Fault | undefined)[] = [];
  transport.fault = () => faults.shift();
  const writer = new EventRecorder("node-1", { clock, random: () => 0, logger: SILENT_LOGGER });
  const stop = new AbortController();
  const finished = writer.run(transport, stop.signal);
  onTestFinished(() => stop.abort());
  const events = () => [...model.events.events.values()];
  const asked = () => model.requests.map(({ method, path }) => `${method} ${path}`);
  return { clock, model, transport, faults, writer, stop, finished, events, asked };
}

test("an event becomes an Event that the server accepts", async () => {
  const { writer, events, model } = world();
  writer.record(aboutNode("node-1", "no iptables"));
  await settle();
  expect(events()).toMatchObject([
    {
      regarding: { kind: "Node", name: "node-1", uid: "node-1" },
      note: "no iptables",
      metadata: { namespace: "default" },
    },
  ]);
  expect(model.requests).toMatchObject([{ method: "POST", contentType: "application/json" }]);
  expect(writer.counts).toEqual({ sent: 1, known: 0, dropped: 0, failed: 0 });
});

test("an event recorded before the recorder runs is written when it runs", async () => {
  const model = new ApiModel(new HandClock());
  const transport = new ModelTransport(model);
  const parts = { clock: new HandClock(), random: () => 0, logger: SILENT_LOGGER };
  const writer = new EventRecorder("node-1", parts);
  writer.record(aboutNode("node-1"));
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  void writer.run(transport, stop.signal);
  await settle();
  expect(model.events.events.size).toBe(1);
});

test("before its end an agent waits until its events were written, and not longer than the limit", async () => {
  const { writer, events, faults, clock } = world();
  writer.record(aboutNode("node-1"));
  await writer.written(2_000);
  expect(events()).toHaveLength(1);
  faults.push({ kind: "no-answer" });
  writer.record(aboutNode("node-1", "another"));
  let isOver = false;
  void writer.written(2_000).then(() => {
    isOver = true;
  });
  await clock.advance(1_999);
  expect(isOver).toBe(false);
  await clock.advance(1);
  expect(isOver).toBe(true);
  const idle = new EventRecorder("node-1", { clock, random: () => 0, logger: SILENT_LOGGER });
  await idle.written(2_000);
});

test("the uid of a Service is read, so that kubectl describe finds the Event", async () => {
  const { writer, events, model, asked } = world();
  const { metadata, ...rest } = apiService("web", 1);
  model.store.put(SERVICES, { ...rest, metadata: { ...metadata, namespace: "shop", uid: "12-34" } });
  model.store.put(SERVICES, apiService("web", 1));
  writer.record(aboutService("shop/web"));
  await settle();
  expect(events()).toMatchObject([{ regarding: { kind: "Service", namespace: "shop", name: "web", uid: "12-34" } }]);
  expect(asked()).toEqual([
    "GET /api/v1/namespaces/shop/services",
    "POST /apis/events.k8s.io/v1/namespaces/shop/events",
  ]);
});

test("an Event about a deleted Service has no uid", async () => {
  const { writer, events } = world();
  writer.record(aboutService("shop/web"));
  await settle();
  expect(events()[0]?.regarding).toEqual({ apiVersion: "v1", kind: "Service", namespace: "shop", name: "web" });
});

test("an event that repeats becomes a series, by patches of the same Event", async () => {
  const { writer, events, clock, asked } = world();
  for (let minute = 0; minute < 25; minute++) {
    writer.record(aboutNode("node-1"));
    await clock.advance(60_000);
  }
  expect(events()).toMatchObject([{ series: { count: 20 } }]);
  const [{ metadata } = { metadata: { name: "" } }] = events();
  const path = "/apis/events.k8s.io/v1/namespaces/default/events";
  expect(asked()).toEqual([`POST ${path}`, `PATCH ${path}/${metadata.name}`, `PATCH ${path}/${metadata.name}`]);
});

test("a series whose Event has expired begins a new Event", async () => {
  const { writer, events, clock, model } = world();
  writer.record(aboutNode("node-1"));
  await clock.advance(1000);
  model.events.expire();
  for (const _ of [1, 2]) writer.record(aboutNode("node-1"));
  await clock.advance(600_000);
  expect(events()).toMatchObject([{ series: { count: 2 } }]);
});

test("the problem of a Service is one Event, even if several nodes report it", async () => {
  const model = new ApiModel(new HandClock());
  const [one, other] = [world(model), world(model)];
  for (const { writer } of [one, other]) writer.record(aboutService("shop/web"));
  await settle();
  expect(one.events()).toHaveLength(1);
  expect(one.writer.counts.sent + other.writer.counts.sent).toBe(1);
  expect(one.writer.counts.known + other.writer.counts.known).toBe(1);
});

describe("on a failure", () => {
  test.each<[string, Fault]>([
    ["the connection is refused", { kind: "refuse" }],
    ["no answer comes", { kind: "no-answer" }],
    ["the server is overloaded", { kind: "answer", status: 429, body: "Too many requests", retryAfterMs: 3000 }],
    ["the server has a fault", { kind: "answer", status: 500, body: "{}" }],
    ["the answer is cut", { kind: "cut", afterBytes: 1, how: "reset" }],
    ["the answer never arrives", { kind: "unheard" }],
  ])("%s: the Event is written later, once", async (_what, fault) => {
    const { writer, events, clock, faults } = world();
    faults.push(fault, fault, undefined);
    writer.record(aboutNode("node-1"));
    await clock.advance(120_000);
    expect(events()).toHaveLength(1);
    expect(writer.counts).toMatchObject({ dropped: 0, failed: 0 });
    writer.record(aboutNode("node-1"));
    await clock.advance(600_000);
    expect(events()).toMatchObject([{ series: { count: 2 } }]);
  });

  test("Retry-After of the server is respected", async () => {
    const { writer, clock, faults, model } = world();
    faults.push({ kind: "answer", status: 429, body: "", retryAfterMs: 50_000 });
    writer.record(aboutNode("node-1"));
    await clock.advance(49_999);
    expect(model.requests).toHaveLength(0);
    await clock.advance(2);
    expect(model.requests).toHaveLength(1);
  });

  test("an Event that is never accepted is given up and counted", async () => {
    const { writer, clock, faults } = world();
    faults.push(...Array.from({ length: 10 }, (): Fault => ({ kind: "refuse" })));
    writer.record(aboutNode("node-1"));
    await clock.advance(600_000);
    expect(writer.counts).toEqual({ sent: 0, known: 0, dropped: 0, failed: 1 });
  });

  test("a role that allows no Events costs one request and is counted", async () => {
    const { writer, events, clock, model, transport } = world();
    model.behaviour.tokens = new Map([["token", USER]]);
    model.behaviour.rules = [];
    transport.authorization = "Bearer token";
    writer.record(aboutNode("node-1"));
    await settle();
    writer.record(aboutNode("node-1"));
    await clock.advance(60_000);
    expect([events().length, model.requests.length]).toEqual([0, 1]);
    expect(writer.counts).toEqual({ sent: 0, known: 0, dropped: 0, failed: 1 });
  });

  test("a rejected Event delays no other", async () => {
    const { writer, events, faults } = world();
    faults.push({ kind: "answer", status: 404, body: "" });
    writer.record(aboutNode("node-1", "first"));
    writer.record(aboutNode("node-1", "second"));
    await settle();
    await settle();
    expect(events()).toMatchObject([{ note: "second" }]);
  });
});

test.each(["before", "during"])("a stop %s a request ends it, and leaves no timer", async (when) => {
  const { writer, clock, faults, finished, stop } = world();
  faults.push({ kind: "no-answer" });
  if (when === "during") writer.record(aboutNode("node-1"));
  await settle();
  stop.abort();
  await finished;
  expect(clock.sleeping).toBe(0);
});
