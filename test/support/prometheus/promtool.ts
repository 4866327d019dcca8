/** What `promtool check metrics` has to say of our metrics, and its exit code: a gauge of kube-proxy has the name of a counter, and dashboards have it. */
export const PROMTOOL_FINDS = {
  code: 3,
  err: 'kubeproxy_sync_proxy_rules_no_local_endpoints_total non-counter metrics should not have "_total" suffix\n',
};
