import { describe, expect, test } from "vitest";
import { errnoNamed } from "../../../../src/model/kernel/errno.ts";
import { dateOf } from "../../../../src/model/time/clock.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { syncReport } from "../../../support/objects/sync-reports.ts";
import { harness } from "./metrics-harness.ts";

/** The wall clock time at the time 0 of the other clock. */
const ZERO_S = dateOf(0, new HandClock()).getTime() / 1000;
/** A metric of kube-proxy, which is a gauge. */
const NO_LOCAL_ENDPOINTS = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";

describe("a sync", () => {
  test("counts operations by kind and result, numbers without a name together", async () => {
    const { metrics, sample } = harness();
    const operations = [
      { kind: "add-real-server", errno: "", count: 3 },
      { kind: "add-real-server", errno: "EEXIST", count: 2 },
      { kind: "add-real-server", errno: errnoNamed("E1234"), count: 1 },
      { kind: "add-real-server", errno: errnoNamed("E4321"), count: 1 },
      { kind: "add-entry", errno: errnoNamed("IPSET_ERR_EXIST"), count: 1 },
    ] as const;
    metrics.record(syncReport({ clean: false, operations }));
    metrics.record(syncReport({ operations: [{ kind: "add-real-server", errno: "", count: 1 }] }));
    const count = (operation: string, result: string) =>
      sample(`kube_ipvs_operations_total{operation="${operation}",result="${result}"}`);
    expect(await count("add-real-server", "ok")).toBe(4);
    expect(await count("add-real-server", "EEXIST")).toBe(2);
    expect(await count("add-real-server", "other")).toBe(2);
    expect(await count("add-entry", "IPSET_ERR_EXIST")).toBe(1);
    expect(await count("delete-entry", "ok")).toBe(0);
    expect(await sample("kube_ipvs_sync_operations_sum")).toBe(9);
    expect(await sample("kube_ipvs_sync_operations_count")).toBe(2);
  });

  test("is timed once in our metric and once for each family in kube-proxy's, in seconds", async () => {
    const { metrics, sample } = harness();
    metrics.record(syncReport({ durationMs: 0.4 }));
    expect(await sample("kube_ipvs_sync_duration_seconds_sum")).toBe(0.0004);
    expect(await sample('kube_ipvs_sync_duration_seconds_bucket{le="0.00025"}')).toBe(0);
    expect(await sample('kube_ipvs_sync_duration_seconds_bucket{le="0.0005"}')).toBe(1);
    for (const family of ["IPv4", "IPv6"])
      expect(await sample(`kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family="${family}"}`)).toBe(0.0004);
  });

  test("is timed as full if it compares all objects, otherwise as partial", async () => {
    const { metrics, sample } = harness(["IPv6"]);
    const counts = () =>
      Promise.all(
        ["full", "partial"].map((extent) =>
          sample(`kubeproxy_sync_${extent}_proxy_rules_duration_seconds_count{ip_family="IPv6"}`),
        ),
      );
    expect(await counts()).toEqual([0, 0]);
    metrics.record(syncReport({ full: true }));
    metrics.record(syncReport({ full: false }));
    metrics.record(syncReport({ full: false }));
    expect(await counts()).toEqual([1, 2]);
  });

  test("updates the time of the last success only if nothing is pending or failed", async () => {
    const { metrics, sample } = harness(["IPv4"]);
    const last = () => sample('kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}');
    metrics.record(syncReport({ clean: false }));
    expect(await last()).toBeUndefined();
    metrics.record(syncReport({ startedAtMs: 5000, durationMs: 500 }));
    expect(await last()).toBe(ZERO_S + 5.5);
    metrics.record(syncReport({ startedAtMs: 9000, state: { failedObjects: 1 } }));
    expect(await last()).toBe(ZERO_S + 5.5);
  });

  test("sets the gauges of the state after it", async () => {
    const { metrics, sample } = harness();
    metrics.record(
      syncReport({
        pending: 7,
        state: {
          desired: { virtualServers: 1, realServers: 2, addresses: 3, entries: 4 },
          actual: { virtualServers: 5, realServers: 6, addresses: 7, entries: 8 },
          foreignServers: 9,
          failedObjects: 10,
          drainingRealServers: 11,
          oldestDrainMs: 9500,
          drainEnds: { idle: 3, timeout: 1 },
          oldestPendingMs: 12_500,
        },
      }),
    );
    const objects = ["virtual-server", "real-server", "address", "entry"];
    const of = (name: string) => Promise.all(objects.map((object) => sample(`${name}{object="${object}"}`)));
    expect(await of("kube_ipvs_desired_objects")).toEqual([1, 2, 3, 4]);
    expect(await of("kube_ipvs_actual_objects")).toEqual([5, 6, 7, 8]);
    expect(await sample("kube_ipvs_foreign_virtual_servers")).toBe(9);
    expect(await sample("kube_ipvs_failed_objects")).toBe(10);
    expect(await sample("kube_ipvs_draining_real_servers")).toBe(11);
    expect(await sample("kube_ipvs_oldest_pending_timestamp_seconds")).toBe(ZERO_S + 12.5);
    expect(await sample("kube_ipvs_pending_objects")).toBe(7);
    expect(await sample("kube_ipvs_oldest_drain_timestamp_seconds")).toBe(ZERO_S + 9.5);
    expect(await sample('kube_ipvs_drains_total{reason="idle"}')).toBe(3);
    metrics.record(syncReport({ state: { drainEnds: { idle: 5, timeout: 1 } } }));
    expect(await sample('kube_ipvs_drains_total{reason="idle"}')).toBe(5);
    expect(await sample('kube_ipvs_drains_total{reason="timeout"}')).toBe(1);
    expect(await sample("kube_ipvs_oldest_drain_timestamp_seconds")).toBe(0);
  });
});

test("changes of Services and endpoints are pending until a sync leaves nothing, and are counted", async () => {
  const { metrics, sample } = harness();
  const name = (kind: string) => `kubeproxy_sync_proxy_rules_${kind}`;
  const kinds = [
    "endpoint_changes_pending",
    "endpoint_changes_total",
    "service_changes_pending",
    "service_changes_total",
  ];
  const seen = () => Promise.all(kinds.map((kind) => sample(name(kind))));
  metrics.recordChange("endpoint");
  metrics.recordChange("endpoint");
  metrics.recordChange("service");
  metrics.record(syncReport({ pending: 1 }));
  expect(await seen()).toEqual([2, 2, 1, 1]);
  metrics.record(syncReport());
  expect(await seen()).toEqual([0, 2, 0, 1]);
});

test("drift of resyncs and syncs is counted by object and kind, and is zero before", async () => {
  const { metrics, sample } = harness();
  metrics.recordResync({
    durationMs: 30,
    first: false,
    drift: [{ object: "real-server", kind: "missing", count: 2 }],
  });
  metrics.record(syncReport({ drift: [{ object: "real-server", kind: "missing", count: 3 }] }));
  expect(await sample('kube_ipvs_drift_total{object="real-server",kind="missing"}')).toBe(5);
  expect(await sample('kube_ipvs_drift_total{object="entry",kind="unwanted"}')).toBe(0);
  expect(await sample("kube_ipvs_resync_duration_seconds_sum")).toBe(0.03);
  expect(await sample("kube_ipvs_last_resync_timestamp_seconds")).toBeGreaterThan(ZERO_S);
});

test("Services without a local endpoint are counted by policy and family, and are zero before", async () => {
  const { metrics, sample } = harness();
  const seen = () =>
    Promise.all(
      ["internal", "external"].flatMap((policy) =>
        ["IPv4", "IPv6"].map((family) =>
          sample(`${NO_LOCAL_ENDPOINTS}{ip_family="${family}",traffic_policy="${policy}"}`),
        ),
      ),
    );
  expect(await seen()).toEqual([0, 0, 0, 0]);
  metrics.recordNoLocalEndpoints({
    count: (side, family) => (side === "internal" ? 1 : 3) + (family === "IPv4" ? 0 : 1),
  });
  expect(await seen()).toEqual([1, 2, 3, 4]);
});
