import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { registerFlowMetrics } from "../../../../src/serve/metrics/flow-metrics.ts";

test("deleted flows and their duration are measured by family, with kube-proxy's names", async () => {
  const registry = new Registry();
  const record = registerFlowMetrics(registry, ["IPv4", "IPv6"]);
  record({ family: "IPv4", flows: 3, durationMs: 5 });
  record({ family: "IPv4", flows: 0, durationMs: 1 });
  const text = await registry.metrics();
  expect(text).toContain('kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 3');
  expect(text).toContain('kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv6"} 0');
  expect(text).toContain('kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"} 2');
  expect(text).toContain('kubeproxy_conntrack_reconciler_sync_duration_seconds_sum{ip_family="IPv4"} 0.006');
});
