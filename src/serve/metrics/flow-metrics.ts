import { Counter, Histogram, type Registry } from "prom-client";
import type { ForgottenFlows } from "../../kernel/kernel.ts";
import type { IPFamily } from "../../model/address.ts";
import { SYNC_BUCKETS } from "./kube-proxy-metrics.ts";

/**
 * Registers the metrics of deleted flows of these families, with the names of kube-proxy. Returns the function that records a
 * deletion.
 */
export function registerFlowMetrics(
  registry: Registry,
  families: readonly IPFamily[],
): (forgotten: ForgottenFlows) => void {
  const byFamily = { labelNames: ["ip_family"] as const, registers: [registry] };
  const duration = new Histogram({
    name: "kubeproxy_conntrack_reconciler_sync_duration_seconds",
    help: "Duration of the search and deletion of stale conntrack flows after a sync. Only flows of changed virtual servers are searched.",
    buckets: SYNC_BUCKETS,
    ...byFamily,
  });
  const deleted = new Counter({
    name: "kubeproxy_conntrack_reconciler_deleted_entries_total",
    help: "Stale flows deleted from conntrack.",
    ...byFamily,
  });
  for (const ip_family of families) {
    duration.zero({ ip_family });
    deleted.inc({ ip_family }, 0);
  }
  return ({ family, flows, durationMs }) => {
    duration.observe({ ip_family: family }, durationMs / 1000);
    deleted.inc({ ip_family: family }, flows);
  };
}
