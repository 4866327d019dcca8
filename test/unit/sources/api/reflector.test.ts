import { describe, expect, onTestFinished, test } from "vitest";
import { HandClock, settle } from "../../../support/api/worlds/hand-clock.ts";
import type { Fault } from "../../../support/api/worlds/model-transport.ts";
import { apiService, ReportedCluster } from "../../../support/api/worlds/reported-cluster.ts";
import { WatchWorld, type WorldOptions } from "../../../support/api/worlds/watch-world.ts";

function world(options: WorldOptions = {}): WatchWorld {
  const one = new WatchWorld(options);
  onTestFinished(() => one.stop());
  return one;
}

describe("the first list", () => {
  test("is streamed from the latest state, with the selectors of kube-proxy and a random timeout", async () => {
    const one = world({ random: () => 0.99 });
    await one.startWith();
    expect(Object.fromEntries(one.requests[0]?.query ?? [])).toEqual({
      watch: "true",
      allowWatchBookmarks: "true",
      sendInitialEvents: "true",
      resourceVersionMatch: "NotOlderThan",
      resourceVersion: "",
      timeoutSeconds: "597",
      labelSelector: "!service.kubernetes.io/service-proxy-name",
      fieldSelector: "spec.clusterIP!=None",
    });
  });

  test("is complete at its end bookmark, then the stream continues as a watch", async () => {
    const one = world();
    one.put("a", 1);
    void one.start();
    expect(await one.news()).toEqual(["demo/a=1", "listed services"]);
    one.put("b", 2);
    one.delete("a");
    expect(await one.news()).toEqual(["demo/b=2", "-demo/a"]);
    expect(one.asked).toEqual(["stream from ''"]);
    expect(one.stats).toMatchObject({ state: "watching", lists: 1, objects: 1, resourceVersion: "103" });
  });

  test("may be empty", async () => {
    const one = world();
    void one.start();
    expect(await one.news()).toEqual(["listed services"]);
  });

  test.each([
    ["the feature is off", "disabled", 0, "0"],
    ["its etcd is too old", "etcd-too-old", 0, "0"],
    ["no end bookmark comes for 30 s", "no-end-bookmark", 30_000, "101"],
  ] as const)("is an ordinary one where %s", async (_, watchList, ms, from) => {
    const one = world();
    one.model.behaviour.watchList = watchList;
    one.put("a", 1);
    void one.start();
    const told = await one.news(ms);
    expect(told.at(-1)).toBe("listed services");
    expect(one.asked).toEqual(["stream from ''", `list from '${from}'`, "watch from '101'"]);
  });

  test("is read from the cache when the consistent read has no answer for 5 s, as etcd is down", async () => {
    const one = world();
    one.model.behaviour.etcdDown = true;
    one.put("a", 1);
    void one.start();
    expect(await one.news(4999)).toEqual([]);
    expect(await one.news(1)).toEqual(["demo/a=1", "listed services"]);
    expect(one.asked).toEqual(["stream from ''", "stream from '0'"]);
  });

  test("is requested without the field selector if the server does not support the field", async () => {
    const one = world();
    one.model.behaviour.unknownFields = ["spec.clusterIP"];
    one.model.store.put("/api/v1/services", apiService("headless", 1, { clusterIP: "None", clusterIPs: ["None"] }));
    one.put("a", 1);
    void one.start();
    expect(await one.news()).toEqual(["demo/a=1", "listed services"]);
    expect(one.asked).toEqual(["stream from ''", "list from '0'", "list from '0'", "watch from '102'"]);
  });
});

describe("a list in pages", () => {
  async function paged(): Promise<WatchWorld> {
    const one = world();
    Object.assign(one.model.behaviour, { watchList: "disabled", pageItems: 2 });
    for (const name of ["a", "b", "c", "d", "e"]) one.put(name, 1);
    return one;
  }

  test("is reported as a whole, with the version of its pages", async () => {
    const one = await paged();
    void one.start();
    expect(await one.news()).toEqual(["demo/a=1", "demo/b=1", "demo/c=1", "demo/d=1", "demo/e=1", "listed services"]);
    expect(one.asked.slice(1)).toEqual(["list from '0'", "list page from ''", "list page from ''", "watch from '105'"]);
  });

  test("starts over when its token has expired, not older than before, and deletes only at the end", async () => {
    const one = await paged();
    one.faults.push(undefined, undefined, { kind: "answer", status: 410, body: "" });
    void one.start();
    expect(await one.news(0)).toEqual(["demo/a=1", "demo/b=1"]);
    one.delete("a");
    expect(await one.news(2000)).toEqual([
      "demo/b=1",
      "demo/c=1",
      "demo/d=1",
      "demo/e=1",
      "-demo/a",
      "listed services",
    ]);
    expect(one.asked.slice(3)).toEqual(["list from '102'", "list page from ''", "watch from '106'"]);
  });

  test.each(["end", "reset"] as const)("that is cut (%s) deletes nothing and is requested again", async (how) => {
    const one = await paged();
    one.faults.push(undefined, { kind: "cut", afterBytes: 300, how });
    void one.start();
    expect((await one.news(0)).includes("listed services")).toBe(false);
    expect((await one.news(2000)).at(-1)).toBe("listed services");
    expect(one.told.services.size).toBe(5);
  });
});

test("a list that broke off leaves the version unchanged, and the next is not older than its objects", async () => {
  const one = world();
  await one.startWith("a", "b");
  one.put("c", 2);
  await settle();
  one.model.store.forgetHistory();
  one.faults.push({ kind: "answer", status: 410, body: "" }, { kind: "cut", afterBytes: 500, how: "reset" });
  one.model.endWatches("reset");
  one.put("a", 2);
  await one.clock.advance(10_000);
  expect(one.asked.slice(1)).toEqual(["watch from '103'", "stream from '103'", "stream from '104'"]);
  expect(one.told.services.get("demo/a")).toBe(2);
});

describe("an object", () => {
  test("that no longer matches the selector is deleted, and reported again when it matches", async () => {
    const one = world();
    await one.startWith("a");
    const service = apiService("a", 2);
    const labels = { "service.kubernetes.io/service-proxy-name": "" };
    one.model.store.put("/api/v1/services", { ...service, metadata: { ...service.metadata, labels } });
    one.put("a", 3);
    expect(await one.news()).toEqual(["-demo/a", "demo/a=3"]);
  });

  test("keeps its newer version when an older one arrives", async () => {
    const one = world();
    await one.startWith("a");
    one.faults.push({ kind: "replay", afterLines: 2 });
    one.model.endWatches("reset");
    await one.clock.advance(2000);
    one.put("a", 2);
    one.put("a", 3);
    expect(await one.news()).toEqual(["demo/a=2", "demo/a=3", "demo/a=3"]);
    expect(one.stats.outdatedEvents).toBe(1);
  });

  test("that cannot be decoded keeps its former version in force, and has a problem until it is valid", async () => {
    const told = new ReportedCluster();
    const wrong: string[] = [];
    const onProblems = (object: string, list: readonly unknown[]) => void wrong.push(`${object}: ${list.length}`);
    const one = world({ handler: { onEvent: (event) => told.onEvent(event), onProblems } });
    await one.startWith("a");
    one.model.store.put("/api/v1/services", { metadata: { namespace: "demo", name: "a" }, spec: 7 });
    await settle();
    expect([told.services.get("demo/a"), wrong]).toEqual([1, ["services demo/a: 1"]]);
    one.put("a", 2);
    await settle();
    expect([told.services.get("demo/a"), wrong.at(-1)]).toEqual([2, "services demo/a: 0"]);
  });
});

describe("a stop", () => {
  test.each<readonly [string, readonly Fault[]]>([
    ["before the answer", [{ kind: "no-answer" }]],
    ["within the list", [{ kind: "stall", afterBytes: 900 }]],
    ["while watching", []],
    ["while waiting", [{ kind: "refuse" }]],
  ])("%s leaves nothing open, tells nothing and asks nothing more", async (_, faults) => {
    const one = new WatchWorld();
    one.faults.push(...faults);
    await one.startWith("a", "b", "c");
    await one.stop();
    const asked = one.requests.length;
    one.put("z", 1);
    expect(await one.news(1_000_000)).toEqual([]);
    expect([one.model.openWatches, one.clock.sleeping, one.requests.length]).toEqual([0, 0, asked]);
  });

  test.each(["streamed", "listed"] as const)("by the listener ends the events at once, %s", async (how) => {
    const told = new ReportedCluster();
    const one: WatchWorld = new WatchWorld({
      handler: {
        onEvent: (event) => {
          told.onEvent(event);
          void one.stop();
        },
        onProblems: () => {},
      },
    });
    const [first, second] = ["a", "b"].map((name) => {
      const service = apiService(name, 1);
      return { ...service, metadata: { ...service.metadata, resourceVersion: "7" } };
    });
    const lines = [first, second].map((object) => `${JSON.stringify({ type: "ADDED", object })}\n`);
    const list = JSON.stringify({ metadata: { resourceVersion: "7" }, items: [first, second] });
    if (how === "listed") one.faults.push({ kind: "answer", status: 422, body: "" });
    one.faults.push({ kind: "answer", status: 200, body: how === "listed" ? list : lines.join("") });
    await one.start();
    expect(told.events).toEqual(["demo/a=1"]);
  });
});

test("an exception of the listener rejects the run and ends it", async () => {
  const handler = {
    onEvent: () => {
      throw new Error("a bug downstream");
    },
    onProblems: () => {},
  };
  const one = new WatchWorld({ handler });
  one.put("a", 1);
  await expect(one.start()).rejects.toThrow("a bug downstream");
  await settle();
  expect([one.model.openWatches, one.clock.sleeping]).toEqual([0, 0]);
});

test("the clock of these tests wakes sleepers in order and on time", async () => {
  const clock = new HandClock();
  const order: string[] = [];
  const { signal } = new AbortController();
  void clock.sleep(20, signal).then(() => order.push("late"));
  void clock.sleep(10, signal).then(() => order.push("early"));
  await clock.advance(19);
  expect(order).toEqual(["early"]);
  await clock.advance(1);
  expect(order).toEqual(["early", "late"]);
});
