import { describe, expect, onTestFinished, test } from "vitest";
import { settle } from "../../../support/api/worlds/hand-clock.ts";
import type { Fault } from "../../../support/api/worlds/model-transport.ts";
import { WatchWorld, type WorldOptions } from "../../../support/api/worlds/watch-world.ts";

function world(options: WorldOptions = {}): WatchWorld {
  const one = new WatchWorld(options);
  onTestFinished(() => one.stop());
  return one;
}

/** An answer that ends as soon as it begins. */
const ended: Fault = { kind: "answer", status: 200, body: "" };

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
