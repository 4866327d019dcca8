/** An expression of the kube-proxy dashboard or alerts of kubernetes-mixin. */
export interface MixinExpression {
  /** The panel with its legend, or the alert. */
  readonly name: string;
  readonly expression: string;
}

const TARGET = 'cluster="test", job="kube-proxy"';
const INSTANCE = `${TARGET}, instance=~".+"`;

const rate = (metric: string, selector = "") =>
  `rate(${metric}{${selector === "" ? INSTANCE : `${INSTANCE}, ${selector}`}}[5m])`;

/** The panels of dashboards/proxy.libsonnet, with a cluster "test" and all instances. */
export const DASHBOARD: readonly MixinExpression[] = [
  { name: "Up", expression: `sum(up{${TARGET}})` },
  { name: "Rules Sync Rate", expression: `sum(${rate("kubeproxy_sync_proxy_rules_duration_seconds_count")})` },
  {
    name: "Rule Sync Latency 99th Quantile",
    expression: `histogram_quantile(0.99, ${rate("kubeproxy_sync_proxy_rules_duration_seconds_bucket")})`,
  },
  {
    name: "Network Programming Rate",
    expression: `sum(${rate("kubeproxy_network_programming_duration_seconds_count")})`,
  },
  {
    name: "Network Programming Latency 99th Quantile",
    expression: `histogram_quantile(0.99, sum(${rate("kubeproxy_network_programming_duration_seconds_bucket")}) by (instance, le))`,
  },
  ...["2", "3", "4", "5"].map((digit) => ({
    name: `Kube API Request Rate, ${digit}xx`,
    expression: `sum(${rate("rest_client_requests_total", `code=~"${digit}.."`)})`,
  })),
  ...["POST", "GET"].map((verb) => ({
    name: `${verb} Request Latency 99th Quantile`,
    expression: `histogram_quantile(0.99, sum(${rate("rest_client_request_duration_seconds_bucket", `verb="${verb}"`)}) by (verb, le))`,
  })),
  { name: "Memory", expression: `process_resident_memory_bytes{${INSTANCE}}` },
  { name: "CPU usage", expression: rate("process_cpu_seconds_total") },
  { name: "Goroutines", expression: `go_goroutines{${INSTANCE}}` },
];

/** The alerts of alerts/kube_proxy.libsonnet. */
export const ALERTS: readonly MixinExpression[] = [
  { name: "KubeProxyDown", expression: 'absent(up{job="kube-proxy"} == 1)' },
  { name: "KubeProxyInstanceUnreachable", expression: 'up{job="kube-proxy"} == 0' },
];
