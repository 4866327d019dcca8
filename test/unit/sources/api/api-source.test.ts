import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { systemClock } from "../../../../src/process/system-clock.ts";
import { ServiceTable } from "../../../../src/services/service-table.ts";
import { readApiServer } from "../../../../src/sources/api/api-source.ts";
import { testTls } from "../../../support/api/api-server.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { apiService } from "../../../support/api/worlds/reported-cluster.ts";
import { SILENT_LOGGER } from "../../../support/api/worlds/silent-logger.ts";
import { SourceWorld } from "../../../support/api/worlds/source-world.ts";
import { until } from "../../../support/api/worlds/test-access.ts";
import { aboutService } from "../../../support/objects/event-records.ts";
import { folderOf, kubeconfigText } from "../../../support/objects/kubeconfigs.ts";
import { patient } from "../../../support/time/patience.ts";

const SERVICES = "/api/v1/services";
const CIDRS = "/apis/networking.k8s.io/v1/servicecidrs";
const RULES = [
  { apiGroup: "", resource: "services", verbs: ["list", "watch"] },
  { apiGroup: "", resource: "nodes", verbs: ["list", "watch"] },
  { apiGroup: "networking.k8s.io", resource: "servicecidrs", verbs: ["list", "watch"] },
  { apiGroup: "discovery.k8s.io", resource: "endpointslices", verbs: ["list", "watch"] },
];

async function world(): Promise<SourceWorld> {
  const one = new SourceWorld();
  onTestFinished(() => one.stop());
  await one.serve();
  one.model.store.put(SERVICES, apiService("a", 1));
  one.model.store.put("/api/v1/nodes", { metadata: { name: "node-1" }, spec: {}, status: {} });
  one.model.store.put("/api/v1/nodes", { metadata: { name: "node-2" }, spec: {}, status: {} });
  return one;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "api-source-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

async function kubeconfigOf(one: SourceWorld): Promise<string> {
  const path = join(await folder(), "kubeconfig");
  await writeFile(path, one.kubeconfig("{}"));
  return path;
}

async function started(): Promise<SourceWorld> {
  const one = await world();
  await one.watch(await kubeconfigOf(one));
  return one;
}

const allListed = (one: SourceWorld) => () => one.told.listed.size === 4;

test("only Services, EndpointSlices, ServiceCIDRs and this Node are reported", async () => {
  const one = await started();
  await one.until("the lists", allListed(one));
  expect(one.told.events.toSorted()).toEqual([
    "+node node-1",
    "demo/a=1",
    "listed endpointslices",
    "listed nodes",
    "listed servicecidrs",
    "listed services",
  ]);
  expect(one.source.stats().map(({ resource, state, objects }) => [resource, state, objects])).toEqual([
    ["nodes", "watching", 1],
    ["endpointslices", "watching", 0],
    ["services", "watching", 1],
    ["servicecidrs", "watching", 0],
  ]);
});

test("a server too old for ServiceCIDRs counts as having none, and is tried again after ten minutes", async () => {
  const one = await world();
  one.model.behaviour.unknownPaths = [CIDRS];
  await one.watch(await kubeconfigOf(one));
  await one.until("the lists", allListed(one));
  const asked = () => one.model.requests.filter(({ path }) => path === CIDRS).length;
  expect(asked()).toBe(1);

  // The control plane is upgraded, node by node.
  one.model.behaviour.unknownPaths = [];
  one.model.store.put(CIDRS, { metadata: { name: "kubernetes" }, spec: { cidrs: ["10.96.0.0/16"] } });
  await one.clock.advance(599_000);
  expect(asked()).toBe(1);
  await one.clock.advance(1000);
  await one.until("the network", () => one.told.events.includes("+cidr kubernetes"));
  one.model.behaviour.unknownPaths = [CIDRS];
  one.model.endWatches("end");
  await one.until("the request that finds nothing", () => asked() >= 3);
  one.model.store.put(SERVICES, apiService("b", 1));
  await one.until("an event of another resource", () => one.told.services.has("demo/b"));
  expect(one.told.events).not.toContain("-cidr kubernetes");
});

test("an agent in a pod needs only list and watch of four resources, and waits for a missing role", async () => {
  const one = await world();
  const root = `${await folder()}/`;
  const account = `${root}var/run/secrets/kubernetes.io/serviceaccount`;
  await mkdir(account, { recursive: true });
  await writeFile(`${account}/ca.crt`, testTls("a").cert);
  await writeFile(`${account}/token`, "first\n");
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "127.0.0.1");
  vi.stubEnv("KUBERNETES_SERVICE_PORT", String(one.server.port));
  onTestFinished(() => void vi.unstubAllEnvs());
  one.model.behaviour.tokens = new Map([["first", "system:serviceaccount:kube-system:kube-ipvs"]]);
  one.model.behaviour.rules = [];
  await one.watch("", root);
  await one.until("three refusals each", () =>
    one.source.stats().every(({ endings }) => (endings.get("403") ?? 0) >= 3),
  );
  expect(one.told.events).toEqual([]);
  one.model.behaviour.rules = RULES;
  await one.until("the lists", allListed(one));

  // The token rotates, and the server forgets the old one.
  await writeFile(`${account}/token`, "second\n");
  one.model.behaviour.tokens = new Map([["second", "system:serviceaccount:kube-system:kube-ipvs"]]);
  one.model.endWatches("end");
  one.model.store.put(SERVICES, apiService("b", 1));
  await one.until("an event", () => one.told.services.has("demo/b"));
  expect(one.source.stats().flatMap(({ endings }) => [...endings.keys()])).not.toContain("401");
});

test("Events go to the same server as the watches, over the same connection", async () => {
  const one = await started();
  await one.until("the lists", allListed(one));
  one.writer.record(aboutService("demo/a"));
  await one.until("the Event", () => one.model.events.events.size === 1);
  expect(one.server.connections).toBe(1);
});

test("an exception of the listener rejects at once, and closes everything", async () => {
  const one = await world();
  one.onEvent = () => {
    throw new Error("a bug downstream");
  };
  await one.watch(await kubeconfigOf(one));
  await expect(one.source.finished).rejects.toThrow("a bug downstream");
  await until("all is closed", () => one.model.openWatches === 0 && one.clock.sleeping === 0);
});

test("a stop leaves no request, no timer and no connection", async () => {
  const one = await started();
  await one.until("the lists", allListed(one));
  const finished = one.source.finished;
  await one.stop();
  await finished;
  await until("all is closed", () => one.model.openWatches === 0 && one.clock.sleeping === 0);
});

test("problems of objects are reported together, with the new ones, and until the objects are valid again", async () => {
  const one = await started();
  await one.until("the lists", allListed(one));
  one.model.store.put(SERVICES, { metadata: { namespace: "demo", name: "x" }, spec: 7 });
  one.model.store.put(SERVICES, { metadata: { namespace: "demo", name: "y" }, spec: 8 });
  await one.until("the problems", () => one.problems.length === 1);
  one.model.store.put(SERVICES, { metadata: { namespace: "demo", name: "z" }, spec: 9 });
  await one.until("another", () => one.problems.length === 2);
  one.model.store.delete(SERVICES, "demo/x");
  one.model.store.put(SERVICES, apiService("y", 1));
  await one.until("fewer", () => one.problems.length === 3);
  const told = one.problems.map(({ count, fresh }) => [count, fresh.map(({ value }) => value)]);
  expect(told).toEqual([
    [2, ["7", "8"]],
    [3, ["9"]],
    [1, []],
  ]);
});

describe("read once", () => {
  const parts = { clock: systemClock, random: () => 0, logger: SILENT_LOGGER };

  const once = (kubeconfig: string, patienceMs: number) =>
    readApiServer({ kubeconfig, servers: [], root: "", env: {}, nodeName: "node-1" }, parts, patienceMs);

  test("a server returns all objects and their problems, and is not connected to any more", async () => {
    const one = await world();
    one.model.store.put(SERVICES, { metadata: { namespace: "demo", name: "x" }, spec: 7 });
    const { events, problems } = await once(await kubeconfigOf(one), patient(10_000));
    expect(events.map(({ kind }) => kind).toSorted()).toEqual([
      ...["listed", "listed", "listed", "listed", "node-upserted", "service-upserted"],
    ]);
    expect(problems).toMatchObject([{ object: problemObject("Service", "demo/x") }]);
    await until("all is closed", () => one.model.openWatches === 0);
  });

  test("a server that denies access is named as the reason", async () => {
    const one = await world();
    one.model.behaviour.tokens = new Map([["other", "somebody"]]);
    await expect(once(await kubeconfigOf(one), 300)).rejects.toThrow(
      /^Cannot read all lists within 0.3 s: nodes \(403 nodes is forbidden: User "system:anonymous".*services \(403/,
    );
  });

  test("an exec plugin that hangs is named as the reason, and is killed", async () => {
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin" };
    const path = await folderOf({
      plugin: '#!/bin/sh\necho $$ > "$(dirname "$0")/pid"; sleep 1000',
      config: kubeconfigText({ user: { exec } }),
    });
    const clock = new HandClock();
    const options = { kubeconfig: join(path, "config"), servers: [], root: "", env: process.env, nodeName: "node-1" };
    const read = readApiServer(options, { ...parts, clock }, 25_000).catch(String);
    const pid = () => (existsSync(join(path, "pid")) ? readFileSync(join(path, "pid"), "utf8").trim() : "");
    await until("the plugin runs", () => pid() !== "");
    await clock.advance(25_000);
    expect(await read).toMatch(
      /within 25 s: nodes, endpointslices, services, servicecidrs \(Cannot get credentials in time: still waiting for exec plugin ".\/plugin" /,
    );
    await until("the plugin is gone", () => !existsSync(`/proc/${pid()}`));
    expect(clock.sleeping).toBe(0);
  });

  test("an unreachable server is reported once for all missing resources", async () => {
    const one = await world();
    const kubeconfig = await kubeconfigOf(one);
    await one.server.close();
    await expect(once(kubeconfig, 300)).rejects.toThrow(
      /0.3 s: nodes, endpointslices, services, servicecidrs \(Cannot connect to "https:[^;]*ECONNREFUSED [\d.:]+\)$/,
    );
  });
});

test("ten restarts of the server under churn lose no event and cost at most a list each", async () => {
  const one = await started();
  await one.until("the lists", allListed(one));
  for (let revision = 2; revision <= 11; revision++) {
    one.model.store.put(SERVICES, apiService("a", revision));
    // Watches that end sooner count as failed.
    await one.clock.advance(1000);
    const restarted = one.restart();
    one.model.store.put(SERVICES, apiService(`new-${revision}`, 1));
    one.model.store.delete(SERVICES, `demo/new-${revision - 1}`);
    one.model.store.forgetHistory();
    await restarted;
    await one.until("all of it", () => one.told.services.has(`demo/new-${revision}`) && one.told.services.size === 2);
  }
  expect(one.told.services).toEqual(
    new Map([
      ["demo/a", 11],
      ["demo/new-11", 1],
    ]),
  );
  expect(one.told.faults).toEqual([]);
  for (const { lists } of one.source.stats()) expect(lists).toBeLessThanOrEqual(11);
});

test("ten relists of a thousand objects leak no memory", { timeout: patient(30_000) }, async () => {
  const one = await started();
  await one.until("the lists", allListed(one));
  const table = new ServiceTable();
  one.onEvent = (event) => void table.apply(event);
  const heapBefore = liveHeap();
  for (let index = 0; index < 1_000; index++) one.model.store.put(SERVICES, apiService(`s-${index}`, 1));
  await one.until("all of them", () => one.told.services.size === 1_001);
  const lists = () => one.source.stats().find(({ resource }) => resource === "services")?.lists;
  async function relist(revision: number): Promise<void> {
    await one.clock.advance(1000);
    await one.restart(() => {
      one.model.store.put(SERVICES, apiService("a", revision));
      one.model.store.forgetHistory();
    });
    await one.until("another whole list", () => lists() === revision);
    // The events that these tests record are not part of the product's memory.
    one.told.events.length = 0;
  }
  await relist(2);
  await relist(3);
  const heapOnce = liveHeap();
  for (let revision = 4; revision <= 13; revision++) await relist(revision);
  expect(one.told.services.get("demo/a")).toBe(13);
  expect(liveHeap() - heapOnce).toBeLessThan(heapOnce - heapBefore);
});

/** Bytes in use after garbage collection. */
function liveHeap(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
