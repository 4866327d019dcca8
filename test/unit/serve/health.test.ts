import { describe, expect, test } from "vitest";
import { errnoNamed } from "../../../src/model/kernel/errno.ts";
import type { Readings } from "../../../src/model/time/clock.ts";
import {
  answerProbe,
  goTime,
  type HealthFacts,
  healthAfterFailure,
  healthAfterPrepare,
  healthAfterRequest,
  healthAfterResync,
  healthAfterSync,
  healthAtStart,
  type PreparationResult,
} from "../../../src/serve/health.ts";
import { address } from "../../support/objects/desired.ts";
import { syncReport } from "../../support/objects/sync-reports.ts";

/** The two clocks begin far apart, so that they cannot be confused. */
const START = 1_000_000;
const SILENT = "Cannot list virtual servers: ETIMEDOUT";
const WALL_START = Date.UTC(2026, 10, 21, 4, 0, 0);

/** The clock so many ms after the start. */
function at(afterMs: number): Readings {
  return { now: () => START + afterMs, date: () => new Date(WALL_START + afterMs) };
}

const start = healthAtStart({
  families: ["IPv4", "IPv6"],
  syncPeriodMs: 30_000,
  startedAtMs: START,
  node: { leaving: false },
});
const good = healthAfterSync(start, syncReport({ startedAtMs: START + 1000, durationMs: 20 }));

function statuses(facts: HealthFacts, afterMs: number) {
  const status = (probe: "healthz" | "livez" | "readyz") => answerProbe(probe, facts, at(afterMs), 0).status;
  return { healthz: status("healthz"), livez: status("livez"), readyz: status("readyz") };
}

const OK = { healthz: 200, livez: 200, readyz: 200 };
const NOT_READY = { healthz: 200, livez: 200, readyz: 503 };
const DEAD = { healthz: 503, livez: 503, readyz: 503 };
const NODE_GONE = { healthz: 503, livez: 200, readyz: 200 };

/** A sync one minute after the start, with a key that has failed since then. */
const failing = healthAfterSync(
  good,
  syncReport({
    startedAtMs: START + 60_000,
    clean: false,
    state: { failedObjects: 1, oldestPendingMs: START + 60_000 },
  }),
);

/** As `failing`, with so many objects and a failure of each errno. */
function refusedWith(failedObjects: number, errnos: readonly string[]): HealthFacts {
  const operation = { kind: "bind-address", binding: "address", address: address("10.96.0.1") } as const;
  const standing = errnos.map((name) => ({
    operation,
    errno: errnoNamed(name),
    text: "",
    sinceMs: 0,
    attempts: 1,
    services: [],
  }));
  const report = syncReport({ failures: { begun: [], ended: [], standing }, state: { failedObjects } });
  return { ...again(failing, 119_000), failed: healthAfterSync(good, report).failed };
}

test.each<[string, HealthFacts, number, object]>([
  ["before the first sync only readiness fails", start, 1, NOT_READY],
  ["an hour without work before the first sync is no failure", start, 3_600_000, NOT_READY],
  ["after a sync all is well", good, 1020, OK],
  ["an idle hour later all is well", good, 3_600_000, OK],
  ["a first sync that left work is not complete", healthAfterSync(start, syncReport({ pending: 1 })), 1, NOT_READY],
  ["a later sync that leaves work keeps readiness", healthAfterSync(good, syncReport({ pending: 1 })), 2000, OK],
  [
    "a first sync that left only failed keys is complete",
    healthAfterSync(start, { ...syncReport(), clean: false }),
    1,
    OK,
  ],
  ["requested work has waited less than two periods", healthAfterRequest(good, START + 2000), 61_999, OK],
  ["requested work has waited two periods without a sync", healthAfterRequest(good, START + 2000), 62_000, DEAD],
  ["the oldest request counts", healthAfterRequest(healthAfterRequest(good, START + 2000), START + 9000), 62_000, DEAD],
  ["a key has failed for less than two periods", failing, 119_999, OK],
  [
    "a key has failed for two periods: only readiness fails while syncs run",
    again(failing, 119_000),
    120_000,
    NOT_READY,
  ],
  ["a failed key is never retried: the agent is dead", failing, 120_002, DEAD],
  ["the kernel does not answer for less than two periods", healthAfterFailure(good, START + 2000, SILENT), 61_999, OK],
  [
    "the kernel has not answered for two periods, without pending work",
    healthAfterFailure(good, START + 2000, SILENT),
    62_000,
    DEAD,
  ],
  [
    "the first failure counts",
    healthAfterFailure(healthAfterFailure(good, START + 2000, SILENT), START + 9000, SILENT),
    62_000,
    DEAD,
  ],
  [
    "a sync ends the failure",
    healthAfterSync(healthAfterFailure(good, START + 2000, SILENT), syncReport()),
    62_000,
    OK,
  ],
  ["a resync ends the failure", healthAfterResync(healthAfterFailure(good, START + 2000, SILENT)), 62_000, OK],
  [
    "the rules of a family could not be written",
    healthAfterPrepare(good, rulesFailed("IPv6", "IPv6")),
    2000,
    NOT_READY,
  ],
  [
    "the rules were written at a later attempt",
    healthAfterPrepare(healthAfterPrepare(good, rulesFailed("IPv6")), rulesFailed()),
    2000,
    OK,
  ],
  ["a sysctl that Services need is wrong", healthAfterPrepare(good, wrong(true, "a is 0")), 2000, NOT_READY],
  ["an optional sysctl is wrong", healthAfterPrepare(good, wrong(false, "a is 0")), 2000, OK],
  [
    "a sysctl has been wrong for two periods",
    healthAfterPrepare(healthAfterResync(good), wrong(true, "a is 0")),
    62_000,
    NOT_READY,
  ],
  ["the node is leaving", { ...good, node: { leaving: true } }, 2000, NODE_GONE],
  ["the node is unknown", { ...good, node: undefined }, 2000, NODE_GONE],
])("the probes answer: %s", (_name, facts, afterMs, expected) => {
  expect(statuses(facts, afterMs)).toEqual(expected);
});

function rulesFailed(...messages: readonly string[]): PreparationResult {
  return { ruleFailures: messages.map((message) => ({ message })), wrongSysctls: [] };
}

function wrong(required: boolean, ...texts: readonly string[]): PreparationResult {
  return { ruleFailures: [], wrongSysctls: texts.map((text) => ({ text, required })) };
}

/** The same failure once more, that long after the start. */
function again(facts: HealthFacts, afterMs: number): HealthFacts {
  const state = { failedObjects: 1, oldestPendingMs: facts.oldestPendingMs };
  return healthAfterSync(facts, syncReport({ startedAtMs: START + afterMs, clean: false, state }));
}

describe("payload", () => {
  test.each([
    [
      "healthz",
      '{"lastUpdated":"2026-11-21T04:00:02.5Z","currentTime":"2026-11-21T04:00:02.5Z","nodeEligible":true,"healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-21T04:00:01.02Z","healthy":true},"IPv6":{"lastUpdated":"2026-11-21T04:00:01.02Z","healthy":true}}}',
    ],
    [
      "livez",
      '{"lastUpdated":"2026-11-21T04:00:02.5Z","currentTime":"2026-11-21T04:00:02.5Z","healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-21T04:00:01.02Z","healthy":true},"IPv6":{"lastUpdated":"2026-11-21T04:00:01.02Z","healthy":true}}}',
    ],
  ] as const)("%s has the keys of kube-proxy in its order", (probe, body) => {
    expect(answerProbe(probe, good, at(2500), 0)).toEqual({ status: 200, body });
  });

  test("an ineligible node is 503 with healthy true, and lastUpdated is of the last success", () => {
    expect(answerProbe("healthz", { ...good, families: ["IPv4"], node: { leaving: true } }, at(5000), 60)).toEqual({
      status: 503,
      body: '{"lastUpdated":"2026-11-21T05:00:01.02+01:00","currentTime":"2026-11-21T05:00:05+01:00","nodeEligible":false,"healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-21T05:00:01.02+01:00","healthy":true}}}',
    });
  });

  test.each([
    ["failed operations", { clean: false }],
    ["left work", { pending: 1 }],
    ["left keys that failed before", { state: { failedObjects: 1 } }],
  ])("a sync that %s is no success: lastUpdated stays", (_name, report) => {
    const facts = healthAfterSync(good, syncReport({ startedAtMs: START + 9000, ...report }));
    expect(facts.lastSuccessMs).toBe(good.lastSuccessMs);
  });

  test("before the first success lastUpdated is the start", () => {
    const { body } = answerProbe("readyz", start, at(9000), 0);
    expect(JSON.parse(body)).toMatchObject({ lastUpdated: "2026-11-21T04:00:00Z", healthy: false });
  });

  test.each<[string, HealthFacts, number, string | undefined]>([
    [
      "lists are missing",
      { ...start, missing: "services (403 no)" },
      1,
      "waiting for the first lists: services (403 no)",
    ],
    ["the first sync is under way", start, 1, "the first sync is not complete: it runs, wait some seconds"],
    [
      "the first sync fails",
      healthAfterFailure(start, START + 2000, SILENT),
      3000,
      `the first sync is not complete: ${SILENT}`,
    ],
    [
      "a key has failed for two periods",
      again(failing, 119_000),
      120_000,
      "cannot program 1 kernel object: see the metric kube_ipvs_operations_total",
    ],
    [
      "one object fails",
      refusedWith(1, ["EPERM"]),
      120_000,
      'cannot program 1 kernel object: Cannot bind address "10.96.0.1": EPERM: the process lacks CAP_NET_ADMIN: add the capability NET_ADMIN to the container',
    ],
    [
      "five objects fail",
      refusedWith(5, ["E1", "E2", "E3", "E4", "E5"]),
      120_000,
      'cannot program 5 kernel objects: Cannot bind address "10.96.0.1": E1; Cannot bind address "10.96.0.1": E2; Cannot bind address "10.96.0.1": E3; and 2 more',
    ],
    [
      "changes have waited for two periods while syncs go on",
      healthAfterSync(
        good,
        syncReport({ startedAtMs: START + 119_000, pending: 7, state: { oldestPendingMs: START + 50_000 } }),
      ),
      120_000,
      "syncs do not keep up with changes: the oldest change has waited for 1m10s. Give the agent more CPU (the limits of its pod)",
    ],
    [
      "the kernel does not answer",
      healthAfterFailure(good, START + 2000, SILENT),
      62_000,
      `requests to the kernel have failed for 1m0s: ${SILENT}. If it stays after a restart of the agent, look at the log of the kernel (dmesg)`,
    ],
    [
      "no sync runs",
      healthAfterRequest(good, START + 2000),
      62_000,
      "no sync has run for 1m0s although changes wait: the agent hangs, and its liveness probe restarts it; report its log (kube-ipvs support-bundle)",
    ],
    [
      "the rules could not be written",
      healthAfterPrepare(good, rulesFailed("no a", "no b", "no c", "no d")),
      2000,
      "no a; no b; no c",
    ],
    ["sysctls are wrong", healthAfterPrepare(good, wrong(true, "a is 0", "b is 0")), 2000, "a is 0; b is 0"],
    ["all is well", good, 2000, undefined],
  ])("readyz says why when %s", (_name, facts, afterMs, reason) => {
    expect(JSON.parse(answerProbe("readyz", facts, at(afterMs), 0).body).reason).toBe(reason);
  });

  test("after a step of the wall clock an earlier time is shown by the new wall clock", () => {
    const twoHoursBack = { now: at(30_000).now, date: () => new Date(WALL_START + 30_000 - 7_200_000) };
    const { body } = answerProbe("readyz", start, twoHoursBack, 0);
    expect(JSON.parse(body)).toMatchObject({
      lastUpdated: "2026-11-21T02:00:00Z",
      currentTime: "2026-11-21T02:00:30Z",
    });
  });

  test("without families there is no status", () => {
    const { body } = answerProbe("livez", { ...start, families: [] }, at(0), 0);
    expect(Object.keys(JSON.parse(body))).toEqual(["lastUpdated", "currentTime", "healthy"]);
  });
});

test.each([
  [WALL_START, 0, "2026-11-21T04:00:00Z"],
  [WALL_START + 10, 0, "2026-11-21T04:00:00.01Z"],
  [WALL_START + 123, 0, "2026-11-21T04:00:00.123Z"],
  [WALL_START + 123.9, 0, "2026-11-21T04:00:00.123Z"],
  [WALL_START, 330, "2026-11-21T09:30:00+05:30"],
  [WALL_START + 100, -570, "2026-11-20T18:30:00.1-09:30"],
])("%d ms at an offset of %d minutes is %s, as Go writes it", (ms, offset, text) => {
  expect(goTime(new Date(ms), offset)).toBe(text);
});
