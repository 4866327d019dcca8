/** A metric that kube-proxy 1.36 has in IPVS mode, or that its dashboards show. */
export interface MetricRow {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** The names of the labels, sorted. */
  readonly labels: readonly string[];
  /** The upper bounds of the buckets, without +Inf. */
  readonly buckets?: readonly number[];
  /** The values that a label has from the start, each with all other labels. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** Whether it has no sample before its first event, as in kube-proxy. */
  readonly isLate?: true;
}

const FAMILY = { labels: ["ip_family"], values: { ip_family: ["IPv4", "IPv6"] } } as const;
const CODE = { labels: ["code"], values: { code: ["200", "503"] } } as const;

/** 1 ms, doubled 14 times. */
const SYNC = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];
const PROGRAMMING = [
  ...[0.25, 0.5],
  ...Array.from({ length: 59 }, (_, index) => index + 1),
  ...[60, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110, 115, 120, 150, 180, 210, 240, 270, 300],
];
const REQUEST = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
const RESOLUTION = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30];
const SIZE = [64, 256, 512, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];
const ROTATION = [600, 1800, 3600, 14_400, 86_400, 604_800, 2_592_000, 7_776_000, 15_552_000, 31_104_000, 124_416_000];
const VERBS = { labels: ["host", "verb"], values: { verb: ["GET", "POST", "PATCH"] } } as const;

/** Written from the documentation and sources of Kubernetes 1.36. */
export const METRIC_ROWS: readonly MetricRow[] = [
  { name: "kubeproxy_sync_proxy_rules_duration_seconds", type: "histogram", ...FAMILY, buckets: SYNC },
  { name: "kubeproxy_sync_full_proxy_rules_duration_seconds", type: "histogram", ...FAMILY, buckets: SYNC },
  { name: "kubeproxy_sync_partial_proxy_rules_duration_seconds", type: "histogram", ...FAMILY, buckets: SYNC },
  { name: "kubeproxy_sync_proxy_rules_last_timestamp_seconds", type: "gauge", ...FAMILY },
  { name: "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", type: "gauge", ...FAMILY },
  { name: "kubeproxy_sync_proxy_rules_endpoint_changes_pending", type: "gauge", labels: [] },
  { name: "kubeproxy_sync_proxy_rules_endpoint_changes_total", type: "counter", labels: [] },
  { name: "kubeproxy_sync_proxy_rules_service_changes_pending", type: "gauge", labels: [] },
  { name: "kubeproxy_sync_proxy_rules_service_changes_total", type: "counter", labels: [] },
  { name: "kubeproxy_network_programming_duration_seconds", type: "histogram", ...FAMILY, buckets: PROGRAMMING },
  {
    name: "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
    type: "gauge",
    labels: ["ip_family", "traffic_policy"],
    values: { ip_family: ["IPv4", "IPv6"], traffic_policy: ["internal", "external"] },
  },
  { name: "kubeproxy_sync_proxy_rules_iptables_restore_failures_total", type: "counter", ...FAMILY },
  { name: "kubeproxy_conntrack_reconciler_sync_duration_seconds", type: "histogram", ...FAMILY, buckets: SYNC },
  { name: "kubeproxy_conntrack_reconciler_deleted_entries_total", type: "counter", ...FAMILY },
  { name: "kubeproxy_proxy_healthz_total", type: "counter", ...CODE },
  { name: "kubeproxy_proxy_livez_total", type: "counter", ...CODE },

  {
    name: "rest_client_requests_total",
    type: "counter",
    labels: ["code", "host", "method"],
    values: { method: ["GET", "POST", "PATCH"], code: ["200", "304", "404", "500", "<error>"] },
  },
  { name: "rest_client_request_duration_seconds", type: "histogram", ...VERBS, buckets: REQUEST },
  { name: "rest_client_rate_limiter_duration_seconds", type: "histogram", ...VERBS, buckets: REQUEST },
  { name: "rest_client_request_size_bytes", type: "histogram", ...VERBS, buckets: SIZE },
  { name: "rest_client_response_size_bytes", type: "histogram", ...VERBS, buckets: SIZE },
  { name: "rest_client_request_retries_total", type: "counter", labels: ["code", "host", "verb"], isLate: true },
  {
    name: "rest_client_dns_resolution_duration_seconds",
    type: "histogram",
    labels: ["host"],
    buckets: RESOLUTION,
    isLate: true,
  },
  { name: "rest_client_transport_cache_entries", type: "gauge", labels: [] },
  {
    name: "rest_client_transport_create_calls_total",
    type: "counter",
    labels: ["result"],
    values: { result: ["hit", "miss"] },
  },
  { name: "rest_client_exec_plugin_ttl_seconds", type: "gauge", labels: [] },
  { name: "rest_client_exec_plugin_certificate_rotation_age", type: "histogram", labels: [], buckets: ROTATION },
  { name: "rest_client_exec_plugin_call_total", type: "counter", labels: ["call_status", "code"] },

  {
    name: "kubernetes_build_info",
    type: "gauge",
    labels: [
      ...["build_date", "compiler", "git_commit", "git_tree_state", "git_version", "go_version", "major", "minor"],
      "platform",
    ],
    values: { major: ["1"], minor: ["36"] },
  },
  { name: "go_goroutines", type: "gauge", labels: [] },
  { name: "process_cpu_seconds_total", type: "counter", labels: [] },
  { name: "process_resident_memory_bytes", type: "gauge", labels: [] },
  { name: "process_virtual_memory_bytes", type: "gauge", labels: [] },
  { name: "process_open_fds", type: "gauge", labels: [] },
  { name: "process_max_fds", type: "gauge", labels: [] },
  { name: "process_start_time_seconds", type: "gauge", labels: [] },
];
