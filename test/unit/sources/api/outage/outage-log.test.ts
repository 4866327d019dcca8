import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { OutageLog } from "../../../../../src/sources/api/outage/outage-log.ts";
import { HandClock } from "../../../../support/api/worlds/hand-clock.ts";
import { LogLines } from "../../../../support/api/worlds/log-lines.ts";
import { SourceWorld } from "../../../../support/api/worlds/source-world.ts";

const never = new AbortController().signal;

function setUp() {
  const clock = new HandClock();
  const log = new LogLines();
  return { clock, log, outages: new OutageLog({ clock, logger: log }) };
}

const LOST = { cause: "ECONNREFUSED", cure: "check", unreachable: true };

test("an unreachable API server is one warning a minute for all resources, and one line at its return", async () => {
  const log = new LogLines();
  const one = new SourceWorld(log);
  onTestFinished(() => one.stop());
  await one.serve();
  const folder = await mkdtemp(join(tmpdir(), "outage-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "kubeconfig"), one.kubeconfig("{}"));
  await one.watch(join(folder, "kubeconfig"));
  await one.until("the lists", () => one.told.listed.size === 4);
  await one.clock.advance(1000);
  log.lines.length = 0;
  const goneAtMs = one.clock.now();
  await one.restart(async () => {
    await one.until("ten minutes", () => one.clock.now() - goneAtMs >= 600_000);
  });
  await one.until("all is watched again", () => log.lines.some((line) => line.startsWith("INFO")));
  const warnings = log.lines.slice(0, -1);
  expect(warnings.length).toBeGreaterThan(5);
  expect(warnings.length).toBeLessThanOrEqual(11);
  for (const line of warnings)
    expect(line).toMatch(
      /^WARN API server unreachable for \d+[sm], serving the state of 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
    );
  expect(log.lines.at(-1)).toMatch(/^INFO API server is watched again after \d+m$/);
});

test("a watch that is resumed at the first attempt is not logged", async () => {
  const { clock, log, outages } = setUp();
  for (let round = 0; round < 5; round++) {
    outages.failed("services", { ...LOST, stateAtMs: clock.now() });
    void outages.watched("services", never);
    await clock.advance(1000);
  }
  expect(log.lines).toEqual([]);
});

test("a watch counts as established after a second, not if it ended before", async () => {
  const { clock, log, outages } = setUp();
  const failure = { cause: "500 it broke", cure: "look", unreachable: false, stateAtMs: clock.now() };
  outages.failed("services", failure);
  outages.failed("services", failure);
  const ended = new AbortController();
  void outages.watched("services", ended.signal);
  await clock.advance(999);
  ended.abort();
  await clock.advance(1000);
  expect(log.lines).toEqual([
    "WARN cannot watch services at the API server for 0s, serving the state of 2027-01-15 08:16:40 UTC",
  ]);
  void outages.watched("services", never);
  await clock.advance(1000);
  expect(log.lines.slice(1)).toEqual(["INFO API server is watched again after 3s"]);
});

test("a resource that cannot be watched is logged with its cause, without a state before the first list", async () => {
  const { clock, log, outages } = setUp();
  for (let minute = 0; minute <= 150; minute++) {
    outages.failed("nodes", { cause: "403 forbidden", cure: "apply", unreachable: false, stateAtMs: 0 });
    await clock.advance(60_000);
  }
  expect(log.lines[0]).toBe("WARN cannot watch nodes at the API server for 1m, no state known yet");
  expect(log.lines.at(-1)).toMatch(/for 2h30m, no state/);
  expect(log.fields[0]).toEqual({ resources: ["nodes"], cause: "403 forbidden", cure: "apply" });
});

test("the outage of a resource ends when the server proves not to have it", () => {
  const { log, outages } = setUp();
  outages.failed("servicecidrs", { ...LOST, stateAtMs: 0 });
  outages.failed("servicecidrs", { ...LOST, stateAtMs: 0 });
  outages.ended("servicecidrs");
  expect(log.lines).toEqual([
    "WARN API server unreachable for 0s, no state known yet",
    "INFO API server is watched again after 0s",
  ]);
});
