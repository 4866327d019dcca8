import { describe, expect, onTestFinished, test } from "vitest";
import { LogLines } from "../../../support/api/worlds/log-lines.ts";
import type { Fault } from "../../../support/api/worlds/model-transport.ts";
import { WatchWorld, type WorldOptions } from "../../../support/api/worlds/watch-world.ts";

const EXPIRED: Fault = { kind: "answer", status: 410, body: "" };

function world(options: WorldOptions = {}): WatchWorld {
  const one = new WatchWorld(options);
  onTestFinished(() => one.stop());
  return one;
}

/** Has version 106 from the first server: b is deleted and c is new. The other server is at 103 and has neither change. */
async function toldMore(watchList: "streaming" | "disabled" = "streaming"): Promise<WatchWorld> {
  const one = world({ second: true });
  one.model.behaviour.watchList = watchList;
  one.other.behaviour.watchList = watchList;
  await one.startWith("a", "b");
  await one.clock.advance(1000);
  one.put("a", 2);
  await one.news();
  one.replication.hold();
  one.delete("b");
  one.put("c", 1);
  one.put("a", 3);
  expect(await one.news()).toEqual(["-demo/b", "demo/c=1", "demo/a=3"]);
  expect([one.stats.resourceVersion, one.other.store.version]).toEqual(["106", 103]);
  return one;
}

describe.each(["streaming", "disabled"] as const)("a server that lags, with watch-list %s,", (watchList) => {
  test("is never asked for an older state than the last one, and is replaced by another server", async () => {
    const one = await toldMore(watchList);
    one.faults.push(EXPIRED);
    one.transport.crash(one.model);
    expect(await one.news(60_000)).toEqual([]);
    expect(one.asked.filter((request) => / from '(?:0)?'$/.test(request)).slice(1)).toEqual(
      watchList === "streaming" ? [] : ["list from '0'"],
    );
    one.put("d", 1);
    one.transport.start(one.model);
    const news = await one.news(60_000);
    expect(new Set(news)).toEqual(new Set(["demo/a=3", "demo/c=1", "demo/d=1"]));
    expect(one.told.faults).toEqual([]);
  });

  test("is watched from the last version once it has caught up", async () => {
    const one = await toldMore(watchList);
    one.transport.crash(one.model);
    expect(await one.news(30_000)).toEqual([]);
    one.replication.release();
    one.put("d", 1);
    expect(await one.news(1000)).toEqual(["demo/d=1"]);
    expect(one.stats.lists).toBe(1);
  });
});

test("after a list that broke off the next list is not older than its objects", async () => {
  const one = world({ second: true });
  Object.assign(one.model.behaviour, { watchList: "disabled", pageItems: 1 });
  one.other.behaviour.watchList = "disabled";
  one.put("a", 1);
  one.replication.hold();
  one.put("a", 2);
  one.faults.push(undefined, undefined, { kind: "refuse" });
  void one.start();
  one.put("b", 1);
  expect(await one.news()).toEqual(["demo/a=2"]);
  one.transport.crash(one.model);
  expect(await one.news(30_000)).toEqual([]);
  one.replication.release();
  expect(await one.news(60_000)).toEqual(["demo/a=2", "demo/b=1", "listed services"]);
});

test("a bookmark of an older version shows that the server is behind, and moves nothing back", async () => {
  const one = world({ second: true });
  await one.startWith("a", "b");
  const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "7" } } };
  one.faults.push({ kind: "answer", status: 200, body: `${JSON.stringify(bookmark)}\n` });
  one.model.endWatches("reset");
  await one.clock.advance(10_000);
  expect(one.asked.slice(1)).toEqual(["watch from '102'", "list from '102'", "watch from '102'"]);
  expect([one.stats.endings.get("behind"), one.stats.resourceVersion]).toEqual([1, "102"]);
  expect([one.model.openWatches, one.other.openWatches], "moved to the other server").toEqual([0, 1]);
});

test.each([
  ["an object that was deleted", "b"],
  ["an object that was changed", "a"],
])("an older version of %s is not reported by a watch", async (_, name) => {
  const one = world();
  await one.startWith("a", "b");
  one.delete("b");
  one.put("a", 2);
  await one.news();
  const object = { metadata: { namespace: "demo", name, resourceVersion: "102" }, spec: { clusterIP: "10.96.0.9" } };
  one.faults.push({ kind: "answer", status: 200, body: `${JSON.stringify({ type: "ADDED", object })}\n` });
  one.model.endWatches("reset");
  expect(await one.news(10_000)).toEqual([]);
  expect([one.stats.outdatedEvents, one.stats.resourceVersion]).toEqual([1, "104"]);
});

test("an object that is deleted within a streamed list does not come back in an older version", async () => {
  const one = world();
  one.model.behaviour.watchList = "no-end-bookmark";
  const line = (type: string, resourceVersion: string) =>
    `${JSON.stringify({ type, object: { metadata: { namespace: "demo", name: "b", resourceVersion } } })}\n`;
  const body = line("ADDED", "101") + line("DELETED", "103") + line("ADDED", "101");
  one.faults.push({ kind: "answer", status: 200, body });
  void one.start();
  await one.clock.advance(0);
  expect([one.told.services.size, one.stats.outdatedEvents]).toEqual([0, 1]);
});

test("a list that is older than the last version is given up before its first object", async () => {
  const one = world();
  one.model.behaviour.watchList = "disabled";
  await one.startWith("a");
  await one.clock.advance(1000);
  const item = { metadata: { namespace: "demo", name: "z", resourceVersion: "50" }, spec: { clusterIP: "10.96.0.9" } };
  const list = { metadata: { resourceVersion: "60" }, items: [item] };
  one.faults.push(
    EXPIRED,
    { kind: "answer", status: 422, body: "" },
    { kind: "answer", status: 200, body: JSON.stringify(list) },
  );
  one.model.endWatches("reset");
  expect(await one.news(10_000)).toEqual(["demo/a=1"]);
  expect(one.stats.endings.get("behind")).toBe(1);
});

describe("after a restore of etcd, when all servers stay behind,", () => {
  test("the older state is accepted after two minutes, with one warning", async () => {
    const log = new LogLines();
    const one = world({ second: true, logger: log });
    await one.startWith("a", "b", "c");
    one.put("c", 2);
    await one.news();
    for (const { store } of [one.model, one.other]) store.turnBack(50);
    one.model.endWatches("reset");
    one.delete("b");
    // A watch from a future version is silent, and the probe after it fails.
    expect(await one.news(455_000)).toEqual([]);
    expect(one.stats.endings.get("504")).toBeGreaterThan(0);
    expect(await one.news(110_000)).toEqual([]);
    expect(await one.news(60_000)).toEqual(["demo/a=1", "demo/c=2", "-demo/b"]);
    one.put("a", 2);
    expect(await one.news()).toEqual(["demo/a=2"]);
    expect(log.lines.filter((line) => line.includes("restore of etcd"))).toHaveLength(1);
    expect(one.stats.lists).toBe(2);
  });

  test("the older state is not accepted while any server has reached the last version", async () => {
    const one = world({ second: true });
    await one.startWith("a", "b");
    one.replication.hold();
    one.model.store.turnBack(50);
    one.delete("b");
    one.model.endWatches("reset");
    await one.clock.advance(3_000_000);
    expect(one.told.services.has("demo/b")).toBe(true);
    expect(one.stats.lists).toBe(1);
  });
});
