import { describe, expect, test } from "vitest";
import { KernelError } from "../../../src/model/kernel/kernel-error.ts";
import { Pacer } from "../../../src/sync/pacer.ts";
import type { SyncReport } from "../../../src/sync/sync-report.ts";
import { HandClock, settle } from "../../support/api/hand-clock.ts";
import { syncReport } from "../serve/reports.ts";

/** A reconciler of times alone: it writes down when it was asked to do what, and can take long, be cut, or fail. */
class TimedReconciler {
  readonly log: string[] = [];
  workMs = Number.POSITIVE_INFINITY;
  flushTakesMs = 0;
  lookTakesMs = 0;
  cuts = 0;
  failures = 0;
  bug: Error | undefined;
  readonly running = new Set<string>();
  /** Whether a look was answered since the last failure. */
  isInformed = false;
  readonly #clock: HandClock;
  readonly #startMs: number;

  constructor(clock: HandClock) {
    this.#clock = clock;
    this.#startMs = clock.now();
  }

  workAtMs(): number {
    return this.workMs;
  }

  async look() {
    await this.#begin("look", this.lookTakesMs);
    this.isInformed = true;
    return { durationMs: this.lookTakesMs, first: this.log.length === 1, drift: [] };
  }

  async flush(): Promise<SyncReport> {
    this.workMs = Number.POSITIVE_INFINITY;
    await this.#begin("flush", this.flushTakesMs);
    if (this.cuts === 0) return syncReport();
    this.cuts--;
    this.workMs = 0;
    return syncReport({ cut: true });
  }

  async #begin(what: string, ms: number): Promise<void> {
    this.log.push(`${what} ${this.#clock.now() - this.#startMs}`);
    expect(this.running.has(what), "one at a time").toBe(false);
    this.running.add(what);
    if (ms > 0) await this.#clock.sleep(ms, new AbortController().signal);
    this.running.delete(what);
    if (this.bug !== undefined) throw this.bug;
    if (this.failures === 0) return;
    this.failures--;
    this.isInformed = false;
    throw new KernelError("Cannot ask the kernel");
  }
}

function start({ random = 0.5, failures: failing = 0, lookTakesMs = 0 } = {}) {
  const clock = new HandClock();
  const reconciler = new TimedReconciler(clock);
  reconciler.failures = failing;
  reconciler.lookTakesMs = lookTakesMs;
  const stop = new AbortController();
  const failures: unknown[] = [];
  const reports: unknown[] = [];
  const pacer = new Pacer(
    { minSyncPeriodMs: 1_000, syncPeriodMs: 30_000 },
    {
      reconciler,
      clock,
      random: () => random,
      onSync: (report) => reports.push(report),
      onLook: (report) => reports.push(report),
      onFailure: (error) => failures.push(error),
    },
  );
  const ended = pacer.run(stop.signal);
  const request = () => {
    reconciler.workMs = 0;
    pacer.wake();
  };
  return { clock, reconciler, stop, failures, reports, ended, request, pacer };
}

describe("Pacer", () => {
  test.each([
    ["earlier by a tenth", 0, ["look 0", "look 27000", "look 54000"]],
    ["as asked", 0.5, ["look 0", "look 30000", "look 60000"]],
    ["later by a tenth", 1, ["look 0", "look 33000"]],
  ])("looks at once and then every sync period, %s", async (_, random, log) => {
    const { clock, reconciler, reports } = start({ random });
    await clock.advance(60_000);
    expect(reconciler.log).toEqual(log);
    expect(reports).toHaveLength(log.length);
  });

  test("looks soon when asked to, before it flushes, and then in its rhythm", async () => {
    const { clock, reconciler, request, pacer } = start();
    await clock.advance(5_000);
    request();
    pacer.lookSoon();
    await clock.advance(40_000);
    expect(reconciler.log).toEqual(["look 0", "look 5000", "flush 5000", "look 35000"]);
  });

  test("looks once more when asked to during a look", async () => {
    const { clock, reconciler, pacer } = start({ lookTakesMs: 2_000 });
    await clock.advance(1_000);
    pacer.lookSoon();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["look 0", "look 2000"]);
  });

  test("flushes during a look, but not during the first", async () => {
    const { clock, reconciler, request } = start({ lookTakesMs: 4_000 });
    await clock.advance(1_000);
    request();
    await clock.advance(30_000 + 4_000);
    request();
    await clock.advance(1_000);
    request();
    await clock.advance(500);
    expect(reconciler.log).toEqual(["look 0", "flush 4000", "look 34000", "flush 35000", "flush 36000"]);
  });

  test("does not flush during a look that was asked for, nor before it", async () => {
    const { clock, reconciler, request, pacer } = start({ lookTakesMs: 4_000 });
    await clock.advance(34_000);
    pacer.lookSoon();
    request();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["look 0", "look 34000", "look 38000", "flush 42000"]);
  });

  test("looks when others meddle, but a second after the last look at the earliest", async () => {
    const { clock, reconciler, pacer } = start();
    await clock.advance(5_000);
    pacer.lookWhenRested();
    await clock.advance(300);
    pacer.lookWhenRested();
    pacer.lookWhenRested();
    await clock.advance(40_000);
    expect(reconciler.log).toEqual(["look 0", "look 5000", "look 6000", "look 36000"]);
  });

  test("rests three times as long as a look took before it looks because others meddle, but for the first", async () => {
    const { clock, reconciler, pacer } = start({ lookTakesMs: 2_000 });
    await clock.advance(2_500);
    pacer.lookWhenRested();
    await clock.advance(3_000);
    pacer.lookWhenRested();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["look 0", "look 3000", "look 11000"]);
  });

  test("looks once more when others meddle during a look", async () => {
    const { clock, reconciler, pacer } = start({ lookTakesMs: 2_000 });
    await clock.advance(1_000);
    pacer.lookWhenRested();
    await clock.advance(20_000);
    expect(reconciler.log).toEqual(["look 0", "look 3000"]);
  });

  test("flushes at once when idle, and all that comes meanwhile together after the minimum period", async () => {
    const { clock, reconciler, request } = start();
    reconciler.flushTakesMs = 200;
    await clock.advance(5_000);
    request();
    await clock.advance(100);
    request();
    await clock.advance(500);
    request();
    await clock.advance(5_000);
    request();
    await clock.advance(100);
    expect(reconciler.log).toEqual(["look 0", "flush 5000", "flush 6200", "flush 10600"]);
  });

  test("goes on without a pause when a flush was cut", async () => {
    const { clock, reconciler, request } = start();
    reconciler.cuts = 2;
    await clock.advance(5_000);
    request();
    await clock.advance(900);
    request();
    await clock.advance(1_000);
    expect(reconciler.log).toEqual(["look 0", "flush 5000", "flush 5000", "flush 5000", "flush 6000"]);
  });

  test("wakes by itself for work that is due later", async () => {
    const { clock, reconciler } = start();
    reconciler.workMs = clock.now() + 7_000;
    await clock.advance(8_000);
    expect(reconciler.log).toEqual(["look 0", "flush 7000"]);
  });

  test("after failures asks again with growing waits, and as before once answered", async () => {
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
      "look 0",
      "flush 1000",
      "flush 2000",
      "flush 4000",
      "flush 8000",
      "flush 9000",
      "flush 10000",
    ]);
    expect(failures).toHaveLength(3);
    reconciler.failures = 1;
    for (let second = 0; second < 4; second++) {
      request();
      await clock.advance(1_000);
    }
    expect(reconciler.log.slice(-3), "the next failure waits a second").toEqual([
      "flush 15000",
      "flush 16000",
      "flush 17000",
    ]);
  });

  test("a failed look is repeated after the wait, before any flush", async () => {
    const { clock, reconciler, request } = start({ failures: 1 });
    request();
    await clock.advance(2_000);
    expect(reconciler.log).toEqual(["look 0", "look 1000", "flush 1000"]);
  });

  test("ends when the signal aborts, asleep or after what it is doing", async () => {
    const asleep = start();
    await settle();
    asleep.stop.abort();
    await asleep.ended;
    const busy = start();
    busy.reconciler.flushTakesMs = 500;
    await settle();
    busy.request();
    await settle();
    busy.stop.abort();
    await busy.clock.advance(500);
    await busy.ended;
    expect(busy.reports).toHaveLength(2);
    const looking = start({ lookTakesMs: 500 });
    await settle();
    looking.stop.abort();
    await looking.clock.advance(500);
    await looking.ended;
    expect(looking.reports).toHaveLength(1);
  });

  test("a bug ends it", async () => {
    const { reconciler, ended, request, failures } = start();
    await settle();
    reconciler.bug = new TypeError("bug");
    request();
    await expect(ended).rejects.toThrow("bug");
    expect(failures).toEqual([]);
  });

  test("a bug in a look ends it", async () => {
    const { clock, reconciler, ended } = start();
    await settle();
    reconciler.bug = new TypeError("bug");
    void clock.advance(30_000);
    await expect(ended).rejects.toThrow("bug");
  });
});
