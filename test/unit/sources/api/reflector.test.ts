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

/** An answer that ends as soon as it begins. */
const ended: Fault = { kind: "answer", status: 200, body: "" };

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

describe("a watch", () => {
  test("that the server ends, as for slow readers, is resumed within 100 ms and misses nothing", async () => {
    const one = world();
    await one.startWith("a");
    await one.clock.advance(1000);
    one.model.endWatches("end");
    one.put("b", 1);
    one.delete("a");
    expect(await one.news(100)).toEqual(["demo/b=1", "-demo/a"]);
    expect(one.asked.at(-1)).toBe("watch from '101'");
    expect(one.stats.lists).toBe(1);
  });

  test("that ends at once and empty is not requested again at once", async () => {
    const one = world({ random: () => 0 });
    await one.startWith("a");
    await one.clock.advance(1000);
    one.faults.push(ended, ended);
    one.model.endWatches("reset");
    await one.clock.advance(60_000);
    const gaps = one.requestedAtMs.slice(1).map((at, i) => at - (one.requestedAtMs[i] ?? 0));
    expect(gaps).toEqual([1800, 1600, 3200]);
  });

  test("that the server ends at its timeout continues from the last bookmark", async () => {
    const one = world();
    await one.startWith("a");
    one.model.store.put("/api/v1/nodes", { metadata: { name: "n" } });
    await one.clock.advance(460_000);
    expect(one.asked).toEqual(["stream from ''", "watch from '102'"]);
    expect(one.stats.bookmarks).toBe(2);
  });

  test("that is quiet at the version of the server continues after the probe without a list", async () => {
    const one = world();
    await one.startWith("a");
    one.model.behaviour.watchList = "no-end-bookmark";
    await one.clock.advance(1_500_000);
    expect(one.asked.slice(1, 5)).toEqual([
      "watch from '101'",
      "list from '101'",
      "watch from '101'",
      "list from '101'",
    ]);
    expect(one.stats.lists).toBe(1);
  });

  test("that receives nothing more is given up 30 s after its timeout", async () => {
    const one = world();
    await one.startWith("a");
    one.faults.push({ kind: "stall", afterBytes: 0 });
    one.model.endWatches("reset");
    await one.clock.advance(2000);
    one.put("b", 1);
    expect(await one.news(450_000 + 29_000)).toEqual([]);
    expect(await one.news(5000)).toEqual(["demo/b=1"]);
  });

  test.each([
    ["as an ERROR event", undefined],
    ["as HTTP status", { kind: "answer", status: 410, body: "" } as const],
  ])("whose history is gone (410 %s) is listed once, not older than it was, after 0.8-1.6 s", async (_, fault) => {
    const one = world();
    await one.startWith("a", "b");
    await one.clock.advance(1000);
    one.model.endWatches("end");
    one.delete("a");
    one.put("b", 2);
    one.put("c", 2);
    one.model.store.forgetHistory();
    one.faults.push(fault);
    expect(await one.news(800)).toEqual([]);
    expect(await one.news(900)).toEqual(["demo/b=2", "demo/c=2", "-demo/a"]);
    expect(one.asked.slice(1)).toEqual(["watch from '102'", "stream from '102'"]);
  });

  test("of 50 nodes that lose their history together are spread over 0.8 s", async () => {
    let luck = 0;
    const fleet = Array.from({ length: 50 }, () => world({ random: () => (luck++ / 1000) % 1 }));
    const relistedAtMs = new Set<number>();
    for (const one of fleet) {
      await one.startWith("a");
      one.put("b", 1);
      await settle();
      one.faults.push({ kind: "answer", status: 410, body: "" });
      one.model.endWatches("end");
      await one.clock.advance(3000);
      relistedAtMs.add(Math.round((one.requestedAtMs[2] ?? 0) - (one.requestedAtMs[0] ?? 0)));
    }
    expect(relistedAtMs.size).toBeGreaterThan(40);
    expect(Math.max(...relistedAtMs) - Math.min(...relistedAtMs)).toBeGreaterThan(50);
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

describe("a request that the API server rejects", () => {
  test.each([401, 403, 404, 429, 500, 503])(
    "with %i is repeated forever from the same version, without a list while lists are rejected too",
    async (status) => {
      const one = world({ random: () => 0 });
      await one.startWith("a");
      for (let i = 0; i < 8; i++) one.faults.push({ kind: "answer", status, body: "no", retryAfterMs: 0 });
      one.model.endWatches("reset");
      one.put("b", 1);
      expect(await one.news(200_000)).toEqual(["demo/b=1"]);
      // The list is a probe for one object; it only shows whether lists are rejected.
      const asked = one.asked.slice(1);
      expect(asked.filter((request) => request === "list from '101'").length).toBe(status === 429 ? 0 : 2);
      expect(asked.filter((request) => request === "watch from '101'").length).toBe(status === 429 ? 9 : 7);
      expect([one.asked.length, one.stats.lists]).toEqual([10, 1]);
    },
  );

  test("is not repeated before Retry-After is over", async () => {
    const one = world({ random: () => 0 });
    await one.startWith("a");
    one.faults.push({ kind: "answer", status: 429, body: "Too many requests", retryAfterMs: 17_000 });
    one.model.endWatches("reset");
    await one.clock.advance(60_000);
    expect((one.requestedAtMs[2] ?? 0) - (one.requestedAtMs[1] ?? 0)).toBe(17_000);
  });

  test("is repeated with growing waits if the connection is refused", async () => {
    const one = world({ random: () => 0 });
    for (let i = 0; i < 5; i++) one.faults.push({ kind: "refuse" });
    void one.start();
    expect(await one.news(800 + 1600 + 3200 + 6400 + 12_800)).toEqual(["listed services"]);
    expect(Object.fromEntries(one.stats.endings)).toEqual({ lost: 5 });
  });
});

describe("an invalid event", () => {
  test.each([
    ["garbage", "garbage\n"],
    ["half an event", '{"type":"ADDED","object":\n'],
    ["an unknown type", '{"type":"SYNC","object":{"metadata":{"name":"b","resourceVersion":"102"}}}\n'],
    ["an object without version", '{"type":"ADDED","object":{"metadata":{"name":"b","namespace":"demo"}}}\n'],
  ])("%s, costs no event: the watch resumes from the version before it", async (_, text) => {
    const one = world();
    await one.startWith("a");
    one.faults.push({ kind: "garbage", afterLines: 1, text });
    one.model.endWatches("reset");
    await one.clock.advance(2000);
    one.put("b", 1);
    one.put("c", 1);
    one.put("d", 1);
    expect(await one.news(100)).toEqual(["demo/b=1", "demo/c=1", "demo/d=1"]);
    expect(one.asked.slice(-1)).toEqual(["watch from '102'"]);
  });

  test("twice at one version causes a list", async () => {
    const one = world();
    await one.startWith("a");
    const garbage: Fault = { kind: "garbage", afterLines: 0, text: "garbage\n" };
    one.faults.push(garbage, garbage);
    one.model.endWatches("reset");
    await one.clock.advance(2000);
    one.put("b", 1);
    expect(await one.news(5000)).toEqual(["demo/a=1", "demo/b=1"]);
    expect(one.asked.slice(-1)).toEqual(["stream from '101'"]);
  });

  test("an event that is cut in the middle is reported once when the watch is resumed", async () => {
    const one = world();
    await one.startWith("a");
    one.faults.push({ kind: "cut", afterBytes: 50, how: "end" });
    one.model.endWatches("reset");
    await one.clock.advance(2000);
    one.put("b", 1);
    expect(await one.news(4000)).toEqual(["demo/b=1"]);
    expect(one.stats.endings.get("lost")).toBe(2);
  });

  test("a line of 16 MB is an event like any other", async () => {
    const one = world();
    await one.startWith("a");
    const service = apiService("b", 1);
    const annotations = { big: "x".repeat(16 * 1024 * 1024) };
    one.model.store.put("/api/v1/services", { ...service, metadata: { ...service.metadata, ...{ annotations } } });
    for (let i = 0; i < 300; i++) await settle();
    expect(await one.news()).toEqual(["demo/b=1"]);
  });
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
