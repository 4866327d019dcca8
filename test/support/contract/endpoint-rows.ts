/** A request to the agent, and the response that kube-proxy 1.36 gives. */
export interface EndpointRow {
  readonly port: "metrics" | "healthz" | "health check";
  /** By default GET. */
  readonly method?: string;
  readonly path: string;
  readonly accept?: string;
  readonly status: number;
  readonly contentType: string;
  /** Of responses with a fixed text. */
  readonly nosniff?: true;
  /** The whole body, or a part of it. */
  readonly body: string | RegExp;
  /** More headers, by names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

const TEXT = { contentType: "text/plain; charset=utf-8", nosniff: true } as const;
const JSON_TEXT = { contentType: "application/json", nosniff: true } as const;
const EXPOSITION = { contentType: "text/plain; version=0.0.4; charset=utf-8" } as const;
const NOT_FOUND = { status: 404, ...TEXT, body: "404 page not found\n" } as const;

const TIME = String.raw`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"`;
const ENGINES = `"status":{"IPv4":{"lastUpdated":${TIME},"healthy":true},"IPv6":{"lastUpdated":${TIME},"healthy":true}}`;
/** The body of a probe, with the keys in kube-proxy's order. */
const probe = (state: string) => new RegExp(`^{"lastUpdated":${TIME},"currentTime":${TIME},${state},${ENGINES}}$`);

/** The responses while the node serves, with one ready local endpoint of the Service shop/checked. */
export const WHILE_SERVING: readonly EndpointRow[] = [
  { port: "healthz", path: "/healthz", status: 200, ...JSON_TEXT, body: probe('"nodeEligible":true,"healthy":true') },
  {
    port: "healthz",
    method: "POST",
    path: "/healthz?verbose",
    status: 200,
    ...JSON_TEXT,
    body: probe('"nodeEligible":true,"healthy":true'),
  },
  { port: "healthz", path: "/livez", status: 200, ...JSON_TEXT, body: probe('"healthy":true') },
  { port: "healthz", method: "DELETE", path: "/livez", status: 200, ...JSON_TEXT, body: probe('"healthy":true') },
  { port: "healthz", path: "/", ...NOT_FOUND },
  { port: "healthz", path: "/healthz/", ...NOT_FOUND },
  { port: "healthz", path: "/metrics", ...NOT_FOUND },

  {
    port: "metrics",
    path: "/metrics",
    status: 200,
    ...EXPOSITION,
    body: /^kubeproxy_sync_proxy_rules_duration_seconds_/m,
  },
  {
    port: "metrics",
    path: "/metrics",
    accept: "gzip",
    status: 200,
    ...EXPOSITION,
    body: /^kubeproxy_sync_proxy_rules_duration_seconds_/m,
    headers: { "content-encoding": "gzip" },
  },
  { port: "metrics", path: "/healthz", status: 200, ...TEXT, body: "ok" },
  { port: "metrics", path: "/healthz?verbose", status: 200, ...TEXT, body: "[+]ping ok\nhealthz check passed\n" },
  {
    port: "metrics",
    path: "/healthz?verbose&exclude=ping",
    status: 200,
    ...TEXT,
    body: "[+]ping excluded: ok\nhealthz check passed\n",
  },
  { port: "metrics", path: "/healthz/ping", status: 200, ...TEXT, body: "ok" },
  {
    port: "metrics",
    path: "/metrics/slis",
    status: 200,
    ...EXPOSITION,
    body: /^kubernetes_healthchecks_total\{name="ping",status="success",type="healthz"\} \d+$[\s\S]*^process_start_time_seconds /m,
  },
  { port: "metrics", method: "DELETE", path: "/metrics/slis", status: 200, ...TEXT, body: "metrics reset\n" },
  { port: "metrics", path: "/proxyMode", status: 200, ...TEXT, body: "ipvs" },
  {
    port: "metrics",
    path: "/statusz",
    status: 200,
    ...TEXT,
    body: /^\nkube-ipvs statusz\nWarning: .+\n\nStarted: .+\nUp: 0 hr \d\d min \d\d sec\n.+\nBinary version: .+\nEmulation version: v1\.36\.2\nPaths: /,
  },
  {
    port: "metrics",
    path: "/flagz",
    status: 200,
    ...TEXT,
    body: /^\nkube-ipvs flags\nWarning: .+\n\n(?:[\w-]+=.*\n)*cluster-cidr=10\.244\.0\.0\/16,fd00:244::\/32\n/,
  },
  {
    port: "metrics",
    path: "/configz",
    status: 200,
    ...JSON_TEXT,
    body: /^{"kubeproxy\.config\.k8s\.io":{"apiVersion":"kubeproxy\.config\.k8s\.io\/v1alpha1","kind":"KubeProxyConfiguration",.*"clusterCIDR":"10\.244\.0\.0\/16,fd00:244::\/32"/,
  },
  // Without enableProfiling, which kube-ipvs does not have.
  { port: "metrics", path: "/debug/pprof/", ...NOT_FOUND },
  { port: "metrics", path: "/debug/flags/v", ...NOT_FOUND },
  { port: "metrics", path: "/livez", ...NOT_FOUND },

  ...["GET", "PUT"].map(
    (method): EndpointRow => ({
      port: "health check",
      method,
      path: "/any/path?a=b",
      status: 200,
      ...JSON_TEXT,
      headers: { "x-load-balancing-endpoint-weight": "1" },
      body: checked(1),
    }),
  ),
];

/** The responses while the Node has the taint of the cluster autoscaler, and no endpoint is ready. */
export const WHILE_LEAVING: readonly EndpointRow[] = [
  { port: "healthz", path: "/healthz", status: 503, ...JSON_TEXT, body: probe('"nodeEligible":false,"healthy":true') },
  { port: "healthz", path: "/livez", status: 200, ...JSON_TEXT, body: probe('"healthy":true') },
  {
    port: "health check",
    path: "/",
    status: 503,
    ...JSON_TEXT,
    headers: { "x-load-balancing-endpoint-weight": "0" },
    body: checked(0),
  },
];

/** The body of a health check node port, in the form of kube-proxy: tabs, and no newline at the end. */
function checked(localEndpoints: number): string {
  return [
    "{",
    '\t"service": {',
    '\t\t"namespace": "shop",',
    '\t\t"name": "checked"',
    "\t},",
    `\t"localEndpoints": ${localEndpoints},`,
    '\t"serviceProxyHealthy": true',
    "}",
  ].join("\n");
}
