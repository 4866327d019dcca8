import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { PageState } from "../../../../src/commands/diagnosis/page-state.ts";
import type { PageView } from "../../../../src/explain/page/page-messages.ts";
import { realServerKey, virtualServerKey } from "../../../../src/model/kernel/ipvs.ts";
import { address } from "../../../support/objects/desired.ts";
import { readableKernel } from "../../../support/page/page-world.ts";
import { RunningAgent } from "../../../support/worlds/running-agent.ts";

const LIST: PageView = { search: "", onlyProblems: false, offset: 0, service: "" };

interface World extends AsyncDisposable {
  readonly agent: RunningAgent;
  readonly page: PageState;
  /** How often other work had a turn. */
  readonly turns: () => number;
}

/** An agent with Services shop/s-0, shop/s-1, ..., the first without endpoints. */
async function world(services: number, kernel: Partial<ReturnType<typeof readableKernel>> = {}): Promise<World> {
  const agent = new RunningAgent();
  let turns = 0;
  for (let number = 0; number < services; number++) {
    if (number > 0)
      agent.slice(`shop/s-${number}-1`, { service: `s-${number}`, endpoints: ["10.244.1.5", "10.244.1.6"] });
    agent.service(`shop/s-${number}`, { ip: `10.96.${number >> 8}.${number & 255}` });
  }
  agent.listed("nodes", "endpointslices", "services");
  for (let turn = 0; turn < 20 && !agent.isReady(); turn++) await agent.rest(1_000);
  // Each reading of the clock seems to take as long as a slow explanation does.
  let readMs = 0;
  const clock = {
    now: () => {
      readMs += 0.1;
      return agent.clock.now() + readMs;
    },
    date: () => agent.clock.date(),
    sleep: agent.clock.sleep,
  };
  const page = new PageState({
    agent: agent.shown,
    kernel: { ...readableKernel(agent), ...kernel },
    history: agent.history,
    clock,
    nextTurn: async () => {
      turns++;
      await setImmediate();
    },
  });
  return { agent, page, turns: () => turns, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
}

test("the list has the Services with their frontends, endpoints, connections and worst finding", async () => {
  await using made = await world(3);
  const key = virtualServerKey("TCP", address("10.96.0.1"), 80);
  for (const real of made.agent.kernel.servers().get(key)?.reals.keys() ?? [])
    made.agent.kernel.setConnections(key, real, { active: 4, inactive: 9 });
  const { services, overview, history } = await made.page.read(LIST, true);
  expect(services).toEqual({
    view: { search: "", onlyProblems: false, offset: 0 },
    total: 3,
    rows: [
      {
        service: "shop/s-0",
        frontends: ["ClusterIP 10.96.0.0:80/TCP"],
        moreFrontends: 0,
        endpoints: 0,
        usedEndpoints: 0,
        severity: "error",
        cause: "port 80/TCP has no endpoints, because no EndpointSlice of the Service lists an endpoint",
      },
      {
        service: "shop/s-1",
        frontends: ["ClusterIP 10.96.0.1:80/TCP"],
        moreFrontends: 0,
        endpoints: 2,
        usedEndpoints: 2,
        connections: 8,
        severity: "ok",
        cause: "",
      },
      expect.objectContaining({ service: "shop/s-2", connections: 0 }),
    ],
  });
  expect(overview?.services).toEqual({ total: 3, errors: 1, warnings: 0 });
  expect(overview?.report).toMatchObject({ node: "n1", ready: true });
  expect(history?.isWhole).toBe(true);
});

describe("with 2,000 Services", () => {
  test("a page has fifty, a search finds by address, and no turn of the event loop computes for long", async () => {
    await using made = await world(2_000);
    const first = await made.page.read({ ...LIST, offset: 100 }, true);
    expect(first.services?.rows.length).toBe(50);
    expect(first.services?.total).toBe(2_000);
    // A turn has 4 ms.
    expect(made.turns()).toBeGreaterThan((2_000 * 0.1) / 5);
    const found = await made.page.read({ ...LIST, search: "10.96.7.207" }, false);
    expect(found.services?.rows.map(({ service }) => service)).toEqual(["shop/s-1999"]);
    const problems = await made.page.read({ ...LIST, onlyProblems: true }, false);
    expect(problems.services?.rows.map(({ service }) => service)).toEqual(["shop/s-0"]);
    expect(problems.history?.isWhole).toBe(false);
  });

  test("the index is made again after some seconds, and when it was released", async () => {
    await using made = await world(10);
    await made.page.read(LIST, true);
    made.agent.serviceGone("shop/s-5");
    await made.agent.rest();
    expect((await made.page.read(LIST, false)).overview?.services.total).toBe(10);
    await made.agent.rest(6_000);
    expect((await made.page.read(LIST, false)).overview?.services.total).toBe(9);
    made.agent.serviceGone("shop/s-6");
    made.page.release();
    expect((await made.page.read(LIST, false)).overview?.services.total).toBe(8);
  });
});

describe("one Service", () => {
  const read = async (made: World, service: string) => (await made.page.read({ ...LIST, service }, true)).service;

  test("has its explanation with weights and connections", async () => {
    await using made = await world(2);
    const service = await read(made, "shop/s-1");
    expect(service).toMatchObject({ service: "shop/s-1", findings: [], unlisted: 0, note: "" });
    expect(service?.explanation?.frontends[0]).toMatchObject({
      frontend: "10.96.0.1:80/TCP",
      state: "as desired",
      realServers: [
        { realServer: "10.244.1.5:8080", weight: 1, desiredWeight: 1, activeConnections: 0 },
        { realServer: "10.244.1.6:8080", weight: 1, desiredWeight: 1 },
      ],
    });
  });

  test.each([
    ["shop", "The name must be NAMESPACE/SERVICE"],
    ["../../etc", "The name must be NAMESPACE/SERVICE"],
    ["shop/none", ""],
  ])("%s is not there", async (name, note) => {
    await using made = await world(1);
    const service = await read(made, name);
    expect(service?.note).toBe(note);
    if (note === "") expect(service?.findings[0]?.what).toContain("this node does not proxy a Service");
  });

  test("of too many endpoints is not examined, and the kernel is not asked for it", async () => {
    await using made = await world(1, { traffic: () => Promise.reject(new Error("asked")) });
    for (let number = 0; number < 6; number++)
      made.agent.slice(`shop/large-${number}`, {
        endpoints: Array.from({ length: 1_000 }, (_, host) => `10.${number}.${host >> 8}.${host & 255}`),
      });
    made.agent.service("shop/large", { ip: "10.97.0.1" });
    await made.agent.rest();
    const service = await read(made, "shop/large");
    expect(service?.explanation).toBeUndefined();
    expect(service?.note).toContain("This Service has 6000 endpoints");
    const { services } = await made.page.read({ ...LIST, search: "large" }, false);
    expect(services?.rows).toMatchObject([{ severity: "info", endpoints: 6_000 }]);
  });

  test("is shown without the kernel when that cannot be read", async () => {
    const traffic = () => Promise.reject(new Error("socket closed", { cause: new Error("ENOBUFS") }));
    await using made = await world(1, { traffic, connections: traffic });
    expect(await read(made, "shop/s-0")).toMatchObject({
      findings: [{ severity: "error" }],
      note: "The kernel could not be read: socket closed: ENOBUFS",
    });
  });
});

test("real servers that drain are listed with their connections", async () => {
  await using made = await world(2);
  const key = virtualServerKey("TCP", address("10.96.0.1"), 80);
  const real = realServerKey(address("10.244.1.5"), 8080);
  made.agent.kernel.setConnections(key, real, { active: 2, inactive: 1 });
  made.agent.slice("shop/s-1-1", { service: "s-1", endpoints: ["10.244.1.6"] });
  await made.agent.rest();
  const { overview } = await made.page.read(LIST, true);
  expect(overview?.drains).toMatchObject({
    total: 1,
    endedIdle: 0,
    endedByTimeout: 0,
    listed: [{ virtualServer: key, realServer: real, connections: 3 }],
  });
});
