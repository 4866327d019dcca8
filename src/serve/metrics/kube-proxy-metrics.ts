import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** The buckets of kube-proxy: 1 ms, doubled 14 times. */
export const SYNC_BUCKETS = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

/** The buckets of kube-proxy: up to 5 minutes, with the smallest steps in the first minute. */
const PROGRAMMING_BUCKETS = [0.25, 0.5, ...steps(1, 59, 1), ...steps(60, 115, 5), ...steps(120, 300, 30)];

function steps(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

/** The metrics of kube-proxy, with the same names, labels and buckets, so that dashboards and alerts keep working. */
export function kubeProxyMetrics(registers: Registry[]) {
  const byFamily = { labelNames: ["ip_family"] as const, registers };
  const byCode = { labelNames: ["code"] as const, registers };
  return {
    syncDuration: new Histogram({
      name: "kubeproxy_sync_proxy_rules_duration_seconds",
      help: "Duration of a sync, as in kube-proxy. kube_ipvs_sync_duration_seconds has buckets below 1 ms.",
      buckets: SYNC_BUCKETS,
      ...byFamily,
    }),
    fullSyncDuration: new Histogram({
      name: "kubeproxy_sync_full_proxy_rules_duration_seconds",
      help: "Duration of a sync that compares all objects, as after each resync.",
      buckets: SYNC_BUCKETS,
      ...byFamily,
    }),
    partialSyncDuration: new Histogram({
      name: "kubeproxy_sync_partial_proxy_rules_duration_seconds",
      help: "Duration of a sync that programs only changed objects.",
      buckets: SYNC_BUCKETS,
      ...byFamily,
    }),
    endpointChangesPending: new Gauge({
      name: "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
      help: "EndpointSlice events since the last sync that left no pending work.",
      registers,
    }),
    endpointChanges: new Counter({
      name: "kubeproxy_sync_proxy_rules_endpoint_changes_total",
      help: "EndpointSlice events received, with or without an effect on this node.",
      registers,
    }),
    serviceChangesPending: new Gauge({
      name: "kubeproxy_sync_proxy_rules_service_changes_pending",
      help: "Service events since the last sync that left no pending work.",
      registers,
    }),
    serviceChanges: new Counter({
      name: "kubeproxy_sync_proxy_rules_service_changes_total",
      help: "Service events received, with or without an effect on this node.",
      registers,
    }),
    noLocalEndpoints: new Gauge({
      name: "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
      help: "Services with a traffic policy Local whose traffic is dropped, because all their endpoints are on other nodes.",
      labelNames: ["ip_family", "traffic_policy"] as const,
      registers,
    }),
    programming: new Histogram({
      name: "kubeproxy_network_programming_duration_seconds",
      help: "Time from the change of a Service or pod, as annotated on the EndpointSlice, until the kernel is programmed.",
      buckets: PROGRAMMING_BUCKETS,
      ...byFamily,
    }),
    restoreFailures: new Counter({
      name: "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
      help: "Failed attempts to write the static iptables rules. Growing: masquerading may not work. The log has the message of iptables-restore.",
      ...byFamily,
    }),
    healthz: new Counter({
      name: "kubeproxy_proxy_healthz_total",
      help: "Responses of /healthz by HTTP status. 503: syncs fail, or the node is unknown or leaving.",
      ...byCode,
    }),
    livez: new Counter({
      name: "kubeproxy_proxy_livez_total",
      help: "Responses of /livez by HTTP status. 503: syncs fail.",
      ...byCode,
    }),
  };
}
