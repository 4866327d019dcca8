import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { errnoNamed } from "../../../../src/model/kernel/errno.ts";
import { ipset } from "../../../../src/model/kernel/ipset.ts";
import { dateOf } from "../../../../src/model/time/clock.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { syncReport } from "../../../support/objects/sync-reports.ts";
import { PROMTOOL_FINDS } from "../../../support/prometheus/promtool.ts";
import { isMissing } from "../../../support/run/missing.ts";
import { harness } from "./metrics-harness.ts";

/** The wall clock time at the time 0 of the other clock. */
const ZERO_S = dateOf(0, new HandClock()).getTime() / 1000;
/** A metric of kube-proxy, which is a gauge. */
const NO_LOCAL_ENDPOINTS = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
const PREFIX = /^(kube_ipvs|kubeproxy)_/;

describe("names", () => {
  const ours = harness()
    .registry.getMetricsAsArray()
    .filter(({ name }) => PREFIX.test(name));

  test.each(ours.map((metric) => [metric.name, metric] as const))(
    "%s follows the rules of Prometheus",
    (name, metric) => {
      const type = String(metric.type);
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      if (name !== NO_LOCAL_ENDPOINTS) expect(name.endsWith("_total")).toBe(type === "counter");
      if (type === "histogram") expect(name).toMatch(/_(seconds|operations)$/);
      if (/duration|timestamp/.test(name)) expect(name).toMatch(/_seconds$/);
      expect(name).not.toMatch(/_(ms|milliseconds|count|sum|bucket|info)$/);
      expect(metric.help).toMatch(/^[A-Z].{18,}\.$/);
    },
  );

  test.skipIf(isMissing("promtool"))("promtool reports one name of kube-proxy, and nothing else", async () => {
    const { registry } = harness();
    for (const { name } of registry.getMetricsAsArray()) if (!PREFIX.test(name)) registry.removeSingleMetric(name);
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: await registry.metrics() });
    expect({ code: status, out: String(stdout), err: String(stderr) }).toEqual({ ...PROMTOOL_FINDS, out: "" });
  });

  test("kube-proxy's families have its names and types", () => {
    const names = ours.filter(({ name }) => name.startsWith("kubeproxy_")).map(({ name, type }) => `${name} ${type}`);
    expect(names.sort()).toEqual([
      "kubeproxy_network_programming_duration_seconds histogram",
      "kubeproxy_proxy_healthz_total counter",
      "kubeproxy_proxy_livez_total counter",
      "kubeproxy_sync_full_proxy_rules_duration_seconds histogram",
      "kubeproxy_sync_partial_proxy_rules_duration_seconds histogram",
      "kubeproxy_sync_proxy_rules_duration_seconds histogram",
      "kubeproxy_sync_proxy_rules_endpoint_changes_pending gauge",
      "kubeproxy_sync_proxy_rules_endpoint_changes_total counter",
      "kubeproxy_sync_proxy_rules_iptables_restore_failures_total counter",
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge",
      "kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge",
      `${NO_LOCAL_ENDPOINTS} gauge`,
      "kubeproxy_sync_proxy_rules_service_changes_pending gauge",
      "kubeproxy_sync_proxy_rules_service_changes_total counter",
    ]);
  });

  test("the metrics include those of the process", async () => {
    expect(await harness().registry.metrics()).toMatch(/^process_resident_memory_bytes \d+$/m);
  });
});

async function buckets(name: string): Promise<string[]> {
  const text = await harness(["IPv4"]).registry.metrics();
  return [...text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)",ip_family="IPv4"\\} 0$`, "gm"))].map(
    ([, bound]) => bound ?? "",
  );
}

test("the buckets are those of kube-proxy", async () => {
  expect((await buckets("kubeproxy_sync_proxy_rules_duration_seconds")).join(" ")).toBe(
    "0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 2.048 4.096 8.192 16.384 +Inf",
  );
  const programming = await buckets("kubeproxy_network_programming_duration_seconds");
  expect(programming.slice(0, 5)).toEqual(["0.25", "0.5", "1", "2", "3"]);
  expect(programming.slice(59, 64)).toEqual(["58", "59", "60", "65", "70"]);
  expect(programming.slice(72)).toEqual(["115", "120", "150", "180", "210", "240", "270", "300", "+Inf"]);
});

test("netlink counters have their values at the time of the scrape", async () => {
  const { counts, sample } = harness();
  counts.sends = 2;
  counts.messages = 128;
  counts.errors.set("ENOENT", 3).set(errnoNamed("E1234"), 1).set(errnoNamed("E4321"), 1);
  expect(await sample("kube_ipvs_netlink_sends_total")).toBe(2);
  expect(await sample("kube_ipvs_netlink_messages_total")).toBe(128);
  counts.sends = 3;
  expect(await sample("kube_ipvs_netlink_sends_total")).toBe(3);
  expect(await sample('kube_ipvs_netlink_errors_total{errno="ENOENT"}')).toBe(3);
  expect(await sample('kube_ipvs_netlink_errors_total{errno="other"}')).toBe(2);
});

test("watch counters by resource have their values at the time of the scrape", async () => {
  const { registry, watches, sample } = harness();
  expect(await registry.metrics()).not.toMatch(/^kube_ipvs_watch_/m);
  const endings = new Map([["lost", 2]]);
  const counts = { objects: 3, lists: 1, events: 7, bytes: 9000, decodeErrors: 4 };
  const times = { lastContactAtMs: 12_500, lastProgressAtMs: 11_500 };
  watches.push(
    { resource: "services", endings, ...counts, ...times },
    { resource: "nodes", endings: new Map(), ...counts, ...times },
  );
  const seen = {
    objects: 3,
    lists_total: 1,
    events_total: 7,
    bytes_total: 9000,
    decode_errors_total: 4,
    last_contact_timestamp_seconds: ZERO_S + 12.5,
    last_progress_timestamp_seconds: ZERO_S + 11.5,
  };
  for (const [name, value] of Object.entries(seen))
    for (const resource of ["services", "nodes"])
      expect(await sample(`kube_ipvs_watch_${name}{resource="${resource}"}`)).toBe(value);
  endings.set("410", 1);
  expect(await sample('kube_ipvs_watch_endings_total{resource="services",reason="lost"}')).toBe(2);
  expect(await sample('kube_ipvs_watch_endings_total{resource="services",reason="410"}')).toBe(1);
});

test("the iptables backend in use and the rules in the other one replace the earlier ones", async () => {
  const { metrics, sample } = harness();
  metrics.recordBackends("legacy", new Map([["IPv4", 3]]));
  metrics.recordBackends("nft", new Map([["IPv6", 7]]));
  expect(await sample('kube_ipvs_iptables_backend{backend="nft"}')).toBe(1);
  expect(await sample('kube_ipvs_iptables_backend{backend="legacy"}')).toBeUndefined();
  expect(await sample('kube_ipvs_iptables_other_backend_rules{ip_family="IPv6"}')).toBe(7);
  expect(await sample('kube_ipvs_iptables_other_backend_rules{ip_family="IPv4"}')).toBeUndefined();
});

test("each desired sysctl is 1 if its value is wrong and 0 otherwise, and those of earlier preparations go", async () => {
  const { metrics, sample } = harness();
  const value = (name: string) => sample(`kube_ipvs_sysctl_wrong{name="${name}"}`);
  metrics.recordSysctls(["a", "b"], ["b"]);
  expect([await value("a"), await value("b")]).toEqual([0, 1]);
  metrics.recordSysctls(["b"], []);
  expect([await value("a"), await value("b")]).toEqual([undefined, 0]);
});

test("each table of rules is 1 if it is wrong and 0 otherwise, and those of earlier preparations go", async () => {
  const { metrics, sample } = harness();
  const value = (table: string) => sample(`kube_ipvs_rules_wrong{ip_family="IPv4",table="${table}"}`);
  metrics.recordTables([
    { family: "IPv4", table: "nat", isDesired: true },
    { family: "IPv4", table: "filter", isDesired: false },
  ]);
  expect([await value("nat"), await value("filter")]).toEqual([0, 1]);
  metrics.recordTables([{ family: "IPv4", table: "filter", isDesired: true }]);
  expect([await value("nat"), await value("filter")]).toEqual([undefined, 0]);
});

test("repairs are counted for objects of Services and of the node's setup, from 0", async () => {
  const { metrics, sample } = harness();
  const value = (object: string) => sample(`kube_ipvs_repairs_total{object="${object}"}`);
  expect([await value("sysctl"), await value("entry")]).toEqual([0, 0]);
  metrics.recordRepairs("sysctl", 2);
  const drift = [{ object: "entry", kind: "missing", count: 3 } as const];
  metrics.recordResync({ durationMs: 1, first: false, drift });
  metrics.record(syncReport({ drift }));
  expect([await value("sysctl"), await value("entry"), await value("rules")]).toEqual([2, 6, 0]);
});

test("the sets of the families that are served have their members and their limit", async () => {
  const { metrics, sample } = harness(["IPv6"]);
  const drop = 'set="KUBE-6-DROP",ip_family="IPv6"';
  expect(await sample(`kube_ipvs_set_members{${drop}}`)).toBe(0);
  metrics.record(syncReport({ state: { setMembers: new Map([[ipset("KUBE-DROP", "IPv6"), 7]]) } }));
  expect(await sample(`kube_ipvs_set_members{${drop}}`)).toBe(7);
  expect(await sample(`kube_ipvs_set_member_limit{${drop}}`)).toBe(2 ** 24);
  const marks = 'set="KUBE-6-LOCAL-MARK-SERVERS",ip_family="IPv6"';
  expect(await sample(`kube_ipvs_set_member_limit{${marks}}`)).toBe(255);
  expect(await sample('kube_ipvs_set_members{set="KUBE-DROP",ip_family="IPv4"}')).toBeUndefined();
});

test("the other metrics have the recorded values", async () => {
  const { metrics, sample } = harness();
  metrics.recordRequest(7500);
  metrics.recordProgrammed("IPv6", 700);
  metrics.recordWithoutEndpoints(6);
  metrics.recordRejected(4);
  metrics.recordNodeProblems(2);
  metrics.recordKernelFailure();
  metrics.recordRestoreFailure("IPv4");
  metrics.recordProbe("healthz", { status: 503, body: "" });
  metrics.recordProbe("livez", { status: 200, body: "" });
  metrics.recordProbe("readyz", { status: 200, body: "" });
  expect(await sample('kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv6"}')).toBe(ZERO_S + 7.5);
  expect(await sample('kubeproxy_network_programming_duration_seconds_sum{ip_family="IPv6"}')).toBe(0.7);
  expect(await sample('kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}')).toBe(0);
  expect(await sample("kube_ipvs_programming_duration_seconds_sum")).toBe(0.7);
  expect(await sample("kube_ipvs_services_without_endpoints")).toBe(6);
  expect(await sample("kube_ipvs_problems")).toBe(4);
  expect(await sample("kube_ipvs_node_problems")).toBe(2);
  expect(await sample("kube_ipvs_kernel_failures_total")).toBe(1);
  expect(await sample('kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"}')).toBe(1);
  expect(await sample('kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv6"}')).toBe(0);
  expect(await sample('kubeproxy_proxy_healthz_total{code="503"}')).toBe(1);
  expect(await sample('kubeproxy_proxy_healthz_total{code="200"}')).toBe(0);
  expect(await sample('kubeproxy_proxy_livez_total{code="200"}')).toBe(1);
});

test("Events are counted by outcome, from the start", async () => {
  const { events, sample } = harness();
  expect(await sample('kube_ipvs_events_total{result="failed"}')).toBe(0);
  Object.assign(events, { sent: 3, known: 2, dropped: 1 });
  await sample('kube_ipvs_events_total{result="sent"}');
  const results = ["sent", "known", "dropped", "failed"];
  const values = await Promise.all(results.map((result) => sample(`kube_ipvs_events_total{result="${result}"}`)));
  expect(values).toEqual([3, 2, 1, 0]);
});
