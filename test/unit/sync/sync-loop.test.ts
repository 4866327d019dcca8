import { describe, expect, test } from "vitest";
import { settle } from "../../support/api/worlds/hand-clock.ts";
import { start } from "../../support/worlds/timed-reconciler.ts";

describe("SyncLoop", () => {
  test.each([
    ["earlier by a tenth", 0, ["resync 0", "resync 27000", "resync 54000"]],
    ["exactly", 0.5, ["resync 0", "resync 30000", "resync 60000"]],
    ["later by a tenth", 1, ["resync 0", "resync 33000"]],
  ])("resyncs at once and then every sync period, %s", async (_, random, log) => {
    const { clock, reconciler, reports } = start({ random });
    await clock.advance(60_000);
    expect(reconciler.log).toEqual(log);
    expect(reports).toHaveLength(log.length);
  });

  test("resyncs at once when requested, before it syncs, and then every sync period", async () => {
    const { clock, reconciler, request, loop } = start();
    await clock.advance(5_000);
    request();
    loop.requestResync();
    await clock.advance(40_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 5000", "sync 5000", "resync 35000"]);
  });

  test("beside another service proxy repairs drift less and less often, and every sync period again when there is none", async () => {
    const { clock, reconciler } = start({ isContested: true });
    reconciler.finds = [1];
    await clock.advance(2_000_000);
    const times = reconciler.log.map((line) => Number(line.split(" ")[1]));
    const waits = times.slice(1).map((time, index) => (time - (times[index] ?? 0)) / 30_000);
    expect(waits.slice(0, 6)).toEqual([2, 4, 4, 4, 4, 4]);
    reconciler.finds = [];
    await clock.advance(4 * 30_000);
    const count = reconciler.log.length;
    await clock.advance(300_000);
    expect(reconciler.log.length - count).toBe(10);
  });

  test("without another service proxy drift does not change the period", async () => {
    const { clock, reconciler } = start();
    reconciler.finds = [1];
    await clock.advance(300_000);
    expect(reconciler.log).toHaveLength(11);
  });

  test("resyncs less often if a resync costs more than a hundredth of a CPU, and checks the node every sync period", async () => {
    const { clock, reconciler } = start({ resyncCostsMs: 1_000 });
    await clock.advance(240_000);
    // Most of what the first one costs is the start of the process.
    expect(reconciler.log).toEqual([
      ...["resync 0", "resync 30000", "check 60000", "check 90000", "resync 130000"],
      ...["check 160000", "check 190000", "resync 230000"],
    ]);
    reconciler.resyncCostsMs = 0;
    await clock.advance(160_000);
    expect(reconciler.log.slice(-3)).toEqual(["resync 330000", "resync 360000", "resync 390000"]);
  });

  test.each([0, 0.1, 10, 300, 1_000, 5_000, 20_000, 100_000])(
    "resyncs that use %d ms of CPU time each take a hundredth of a CPU at most, and each period has a check or a resync",
    async (resyncCostsMs) => {
      const { clock, reconciler } = start({ resyncCostsMs });
      const hours = 3;
      await clock.advance(hours * 3_600_000);
      const resyncs = reconciler.log.filter((line) => line.startsWith("resync")).length;
      // The first two come one after the other.
      expect((resyncs - 2) * resyncCostsMs).toBeLessThanOrEqual(hours * 36_000);
      const times = reconciler.log.map((line) => Number(line.split(" ")[1]));
      expect(Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? 0)))).toBeLessThan(50_000);
    },
  );

  test("a resync that is requested between checks comes at once, and a failed check is repeated after a wait", async () => {
    const { clock, reconciler, loop, failures } = start({ resyncCostsMs: 10_000 });
    await clock.advance(70_000);
    loop.requestResync();
    await clock.advance(25_000);
    reconciler.failures = 1;
    await clock.advance(40_000);
    expect(failures).toHaveLength(1);
    expect(reconciler.log).toEqual([
      ...["resync 0", "resync 30000", "check 60000", "resync 70000", "check 100000"],
      ...["check 101000", "check 131000"],
    ]);
  });

  test("resyncs once more when requested during a resync", async () => {
    const { clock, reconciler, loop } = start({ resyncTakesMs: 2_000 });
    await clock.advance(1_000);
    loop.requestResync();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 2000"]);
  });

  test("syncs during a resync, but not during the first one", async () => {
    const { clock, reconciler, request } = start({ resyncTakesMs: 4_000 });
    await clock.advance(1_000);
    request();
    await clock.advance(30_000 + 4_000);
    request();
    await clock.advance(1_000);
    request();
    await clock.advance(500);
    expect(reconciler.log).toEqual(["resync 0", "sync 4000", "resync 34000", "sync 35000", "sync 36000"]);
  });

  test("does not sync during a resync that was requested, nor before it", async () => {
    const { clock, reconciler, request, loop } = start({ resyncTakesMs: 4_000 });
    await clock.advance(34_000);
    loop.requestResync();
    request();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 34000", "resync 38000", "sync 42000"]);
  });

  test("resyncs after an external change, at the earliest a second after the last resync", async () => {
    const { clock, reconciler, loop } = start();
    await clock.advance(5_000);
    loop.resyncAfterExternalChange();
    await clock.advance(300);
    loop.resyncAfterExternalChange();
    loop.resyncAfterExternalChange();
    await clock.advance(40_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 5000", "resync 6000", "resync 36000"]);
  });

  test("after an external change waits three times as long as the last resync took, except after the first resync", async () => {
    const { clock, reconciler, loop } = start({ resyncTakesMs: 2_000 });
    await clock.advance(2_500);
    loop.resyncAfterExternalChange();
    await clock.advance(3_000);
    loop.resyncAfterExternalChange();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 3000", "resync 11000"]);
  });

  test("resyncs once more after an external change during a resync", async () => {
    const { clock, reconciler, loop } = start({ resyncTakesMs: 2_000 });
    await clock.advance(1_000);
    loop.resyncAfterExternalChange();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 3000"]);
  });

  test("syncs at once when idle, and batches later marks until the minimum period has passed", async () => {
    const { clock, reconciler, request } = start();
    reconciler.syncTakesMs = 200;
    await clock.advance(5_000);
    request();
    await clock.advance(100);
    request();
    await clock.advance(500);
    request();
    await clock.advance(5_000);
    request();
    await clock.advance(100);
    expect(reconciler.log).toEqual(["resync 0", "sync 5000", "sync 6200", "sync 10600"]);
  });

  test("continues without a pause when a sync was cut", async () => {
    const { clock, reconciler, request } = start();
    reconciler.cuts = 2;
    await clock.advance(5_000);
    request();
    await clock.advance(900);
    request();
    await clock.advance(1_000);
    expect(reconciler.log).toEqual(["resync 0", "sync 5000", "sync 5000", "sync 5000", "sync 6000"]);
  });

  test("wakes by itself for work that is due later", async () => {
    const { clock, reconciler } = start();
    reconciler.workMs = clock.now() + 7_000;
    await clock.advance(8_000);
    expect(reconciler.log).toEqual(["resync 0", "sync 7000"]);
  });

  test("after failures retries with growing waits, with a resync first, and returns to normal once the kernel answers", async () => {
    const { clock, reconciler, failures, request } = start();
    await clock.advance(1_000);
    reconciler.failures = 3;
    request();
    await settle();
    for (let second = 0; second < 12; second++) {
      request();
      await clock.advance(1_000);
    }
    expect(reconciler.log.slice(0, 7)).toEqual([
      "resync 0",
      "sync 1000",
      "resync 2000",
      "resync 4000",
      "resync 8000",
      "sync 8000",
      "sync 9000",
    ]);
    expect(failures).toHaveLength(3);
    reconciler.failures = 1;
    for (let second = 0; second < 4; second++) {
      request();
      await clock.advance(1_000);
    }
    expect(reconciler.log.slice(-5), "the next failure waits a second").toEqual([
      "sync 14000",
      "resync 15000",
      "sync 15000",
      "sync 16000",
      "sync 17000",
    ]);
  });

  test("retries a failed resync after the wait, before any sync", async () => {
    const { clock, reconciler, request } = start({ failures: 1 });
    request();
    await clock.advance(2_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 1000", "sync 1000"]);
  });

  test("ends when the signal aborts, at once while it sleeps, else after the running work", async () => {
    const asleep = start();
    await settle();
    asleep.stop.abort();
    await asleep.ended;
    const busy = start();
    busy.reconciler.syncTakesMs = 500;
    await settle();
    busy.request();
    await settle();
    busy.stop.abort();
    await busy.clock.advance(500);
    await busy.ended;
    expect(busy.reports).toHaveLength(2);
    const resyncing = start({ resyncTakesMs: 500 });
    await settle();
    resyncing.stop.abort();
    await resyncing.clock.advance(500);
    await resyncing.ended;
    expect(resyncing.reports).toHaveLength(1);
  });

  test("rejects when a bug throws in a sync", async () => {
    const { reconciler, ended, request, failures } = start();
    await settle();
    reconciler.bug = new TypeError("bug");
    request();
    await expect(ended).rejects.toThrow("bug");
    expect(failures).toEqual([]);
  });

  test("rejects when a bug throws in a resync", async () => {
    const { clock, reconciler, ended } = start();
    await settle();
    reconciler.bug = new TypeError("bug");
    void clock.advance(30_000);
    await expect(ended).rejects.toThrow("bug");
  });

  test("before open only resyncs: marks are ignored, and a sync throws", async () => {
    const { clock, reconciler, loop, request } = start({ isOpen: false });
    request();
    await settle();
    expect(reconciler.workMs).toBe(Number.POSITIVE_INFINITY);
    reconciler.workMs = 0;
    await clock.advance(41_000);
    expect(reconciler.log).toEqual(["resync 0", "resync 30000"]);
    expect(() => loop.sync()).toThrow("Cannot sync before open");
    loop.open();
    await settle();
    expect(reconciler.log.at(-1)).toBe("sync 41000");
  });

  test("takes over the result of a resync only while no sync is running", async () => {
    const { clock, reconciler, request } = start({ resyncTakesMs: 4_000 });
    const takenOver: string[] = [];
    reconciler.onTakenOver = () =>
      takenOver.push(`${reconciler.log.at(-1)}, syncing: ${reconciler.running.has("sync")}`);
    await clock.advance(37_000);
    reconciler.syncTakesMs = 2_000;
    request();
    await clock.advance(3_000);
    expect(takenOver).toEqual(["resync 0, syncing: false", "sync 37000, syncing: false"]);
  });

  test("a sync that needs a resync waits for the running one, or else begins with one", async () => {
    const { clock, reconciler, loop } = start({ resyncTakesMs: 4_000 });
    await settle();
    const waiting = loop.sync();
    await clock.advance(5_000);
    await waiting;
    reconciler.isKnown = false;
    const resyncing = loop.sync();
    await clock.advance(5_000);
    await resyncing;
    expect(reconciler.log).toEqual(["resync 0", "sync 4000", "resync 5000", "sync 9000"]);
  });
});
