import { Counter, Histogram, type Registry } from "prom-client";
import type { ForgottenFlows } from "../../kernel/kernel.ts";
import { SYNC_BUCKETS } from "./metrics.ts";

/** Registers what is told of forgotten flows, by kube-proxy's names; what it returns takes that in. */
export function registerFlowMetrics(registry: Registry): (forgotten: ForgottenFlows) => void {
  const byFamily = { labelNames: ["ip_family"] as const, registers: [registry] };
  const duration = new Histogram({
    name: "kubeproxy_conntrack_reconciler_sync_duration_seconds",
    help: "Duration of looking for stale flows and removing them from conntrack; only what a sync has changed is looked for.",
    buckets: SYNC_BUCKETS,
    ...byFamily,
  });
  const deleted = new Counter({
    name: "kubeproxy_conntrack_reconciler_deleted_entries_total",
    help: "Stale flows that were removed from conntrack.",
    ...byFamily,
  });
  return ({ family, flows, durationMs }) => {
    duration.observe({ ip_family: family }, durationMs / 1000);
    deleted.inc({ ip_family: family }, flows);
  };
}
