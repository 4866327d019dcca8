import { describe, expect, onTestFinished, test } from "vitest";
import { settle } from "../../../support/api/worlds/hand-clock.ts";
import type { Fault } from "../../../support/api/worlds/model-transport.ts";
import { apiService } from "../../../support/api/worlds/reported-cluster.ts";
import { WatchWorld, type WorldOptions } from "../../../support/api/worlds/watch-world.ts";

function world(options: WorldOptions = {}): WatchWorld {
  const one = new WatchWorld(options);
  onTestFinished(() => one.stop());
  return one;
}

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
