import { BY_PORT, increase, lines, of, orZero, quantile, type RowSpec, rate, stat, traffic } from "./panel-spec.ts";

/** The rows of the dashboard, each with one question. */
export const ROWS: readonly RowSpec[] = [
  {
    question: "Is it healthy?",
    panels: [
      stat("Agents up", "Agents that answer Prometheus.", `sum(${of("up")})`),
      stat(
        "Failed objects",
        "Kernel objects that the kernel refuses. /readyz of the node names the first.",
        `sum(${of("kube_ipvs_failed_objects")})`,
        { redFrom: 1 },
      ),
      stat(
        "Node problems",
        "Failed steps of the node preparation: sysctls, sets, rules. Events of the Node name them.",
        `sum(${of("kube_ipvs_node_problems")})`,
        { redFrom: 1 },
      ),
      stat(
        "Nodes not found",
        "Agents whose name no Node has.",
        `count(${of("kube_ipvs_node_found")} == 0) or vector(0)`,
        { redFrom: 1 },
      ),
      stat(
        "Invalid fields",
        "Fields of Services and EndpointSlices that are not served. Their Events name them.",
        `max(${of("kube_ipvs_problems")})`,
        { redFrom: 1 },
      ),
      stat(
        "API server silent for",
        "The longest time since a byte from an API server.",
        `max by () (time() - (${of("kube_ipvs_watch_last_contact_timestamp_seconds")} > 0))`,
        { unit: "s", redFrom: 300 },
      ),
      stat(
        "Versions",
        "Versions of kube-ipvs that run: more than one during an update.",
        `count by (version) (${of("kube_ipvs_build_info")})`,
        { queries: { "{{version}}": `count by (version) (${of("kube_ipvs_build_info")})` } },
      ),
      stat(
        "Oldest waiting work",
        "How long a change waits on a node, failed objects included.",
        `max(time() - (${of("kube_ipvs_oldest_pending_timestamp_seconds")} > 0)) or vector(0)`,
        { unit: "s", redFrom: 120 },
      ),
      stat(
        "API servers unreachable",
        "Agents whose last request to an API server got no response.",
        `count(${of("kube_ipvs_api_server_reachable")} == 0) or vector(0)`,
        { redFrom: 1 },
      ),
      stat(
        "Services without endpoints",
        "Services whose clients are refused, since no endpoint is ready in the cluster.",
        `max(${of("kube_ipvs_services_without_endpoints")})`,
      ),
      stat(
        "Last resync",
        "The longest time since an agent has read its whole kernel.",
        `max(time() - (${of("kube_ipvs_last_resync_timestamp_seconds")} > 0))`,
        { unit: "s", redFrom: 300 },
      ),
    ],
  },
  {
    question: "How fast do changes arrive?",
    panels: [
      lines(
        "Control plane to kernel",
        "s",
        "From the change of an endpoint to the kernel, by the annotation of the EndpointSlice.",
        {
          p50: quantile(0.5, "kube_ipvs_programming_duration_seconds"),
          p99: quantile(0.99, "kube_ipvs_programming_duration_seconds"),
        },
      ),
      lines("Sync", "s", "From the plan to the last response of the kernel. It depends on the number of changes.", {
        p50: quantile(0.5, "kube_ipvs_sync_duration_seconds"),
        p99: quantile(0.99, "kube_ipvs_sync_duration_seconds"),
      }),
      lines("Resync", "s", "Reads the whole kernel. It delays no change.", {
        p99: quantile(0.99, "kube_ipvs_resync_duration_seconds"),
      }),
      lines("Changes", "ops", "Changes of Services and endpoints that reach the agents.", {
        Services: `sum(${rate("kubeproxy_sync_proxy_rules_service_changes_total")})`,
        endpoints: `sum(${rate("kubeproxy_sync_proxy_rules_endpoint_changes_total")})`,
      }),
      lines(
        "Objects that wait",
        "short",
        "Kernel objects that waited when a sync ended. Growing: the node has too little CPU.",
        {
          "{{node}}": `max by (node) (${of("kube_ipvs_pending_objects")})`,
        },
      ),
    ],
  },
  {
    question: "What does the node hold?",
    panels: [
      lines("Objects in the kernel", "short", "More than desired: some drain. Fewer: some fail or wait.", {
        "{{object}}": `sum by (object) (${of("kube_ipvs_actual_objects")})`,
        "{{object}} desired": `sum by (object) (${of("kube_ipvs_desired_objects")})`,
      }),
      lines("Objects of the API", "short", "In the caches of the watches.", {
        "{{resource}}": `max by (resource) (${of("kube_ipvs_watch_objects")})`,
      }),
      lines("Services that drop clients", "short", "Services with a policy Local and no endpoint on the node.", {
        "{{traffic_policy}}": `sum by (traffic_policy) (${of("kubeproxy_sync_proxy_rules_no_local_endpoints_total")})`,
      }),
      lines(
        "Fullest sets",
        "percentunit",
        "Members of the fullest IP sets, of those that they can have. A full set refuses Services.",
        {
          "{{set}}": `topk(10, max by (set) (${of("kube_ipvs_set_members")} / ${of("kube_ipvs_set_member_limit")}))`,
        },
      ),
      lines("Members of sets", "short", "The ten largest IP sets.", {
        "{{set}}": `topk(10, max by (set) (${of("kube_ipvs_set_members")}))`,
      }),
      lines(
        "Of other programs",
        "short",
        "IPVS virtual servers, and rules in the iptables backend that kube-ipvs does not use.",
        {
          "virtual servers": `sum(${of("kube_ipvs_foreign_virtual_servers")})`,
          rules: `sum(${of("kube_ipvs_iptables_other_backend_rules")}) or vector(0)`,
        },
      ),
    ],
  },
  {
    question: "What failed?",
    panels: [
      lines("Failed operations", "short", "By operation and errno. They are tried again.", {
        "{{operation}} {{result}}": orZero(
          `sum by (operation, result) (${increase("kube_ipvs_operations_total", 'result!="ok"')})`,
        ),
      }),
      lines(
        "Wrong tables of rules",
        "short",
        "Tables of iptables whose rules are wrong and cannot be written, on the nodes.",
        {
          "{{ip_family}} {{table}}": `sum by (ip_family, table) (${of("kube_ipvs_rules_wrong")})`,
        },
      ),
      lines("Wrong sysctls", "short", "Sysctls that are wrong and cannot be set, on the nodes.", {
        "{{name}}": orZero(`sum by (name) (${of("kube_ipvs_sysctl_wrong")}) > 0`),
      }),
      lines(
        "Repairs",
        "short",
        "By kind of object: what was right, and something else has changed. Steady: find that program.",
        {
          "{{object}}": `sum by (object) (${increase("kube_ipvs_repairs_total")})`,
        },
      ),
      lines(
        "Drift",
        "short",
        "Objects that another program changed, and that were repaired. Steady: find that program.",
        {
          "{{object}} {{kind}}": orZero(`sum by (object, kind) (${increase("kube_ipvs_drift_total")})`),
        },
      ),
      lines(
        "Requests to the kernel, rules",
        "short",
        "Requests that failed as a whole, and failures of iptables-restore.",
        {
          requests: `sum(${increase("kube_ipvs_kernel_failures_total")})`,
          "rules {{ip_family}}": `sum by (ip_family) (${increase("kubeproxy_sync_proxy_rules_iptables_restore_failures_total")})`,
        },
      ),
      lines("Ended watches", "short", 'By reason. "ended" and "timeout" are normal.', {
        "{{resource}} {{reason}}": orZero(`sum by (resource, reason) (${increase("kube_ipvs_watch_endings_total")})`),
      }),
      lines("Errors of netlink", "short", "By errno. EEXIST after a restart is normal.", {
        "{{errno}}": orZero(`sum by (errno) (${increase("kube_ipvs_netlink_errors_total")})`),
      }),
      lines("Health check node ports", "short", "Sockets; refused: another process has the port.", {
        "{{state}}": `sum by (state) (${of("kube_ipvs_health_check_ports")})`,
      }),
    ],
  },
  {
    question: "What drains?",
    panels: [
      lines(
        "Draining real servers",
        "short",
        "Removed endpoints that keep their connections, until these end or at the drain timeout.",
        {
          "{{node}}": `sum by (node) (${of("kube_ipvs_draining_real_servers")})`,
        },
      ),
      lines("Age of the oldest drain", "s", "A drain ends with its connections or at the drain timeout.", {
        "{{node}}": `time() - (${of("kube_ipvs_oldest_drain_timestamp_seconds")} > 0) or 0 * ${of("kube_ipvs_oldest_drain_timestamp_seconds")}`,
      }),
      lines("Ended drains", "short", "By reason. Idle: the connections had ended. Timeout: they were cut.", {
        "{{reason}}": orZero(`sum by (reason) (${increase("kube_ipvs_drains_total")})`),
      }),
      lines("Stale flows deleted", "ops", "UDP and SCTP flows to removed endpoints.", {
        "{{ip_family}}": `sum by (ip_family) (${rate("kubeproxy_conntrack_reconciler_deleted_entries_total")})`,
      }),
    ],
  },
  {
    question: "What traffic do Services have?",
    panels: [
      lines(
        "Connections by Service",
        "ops",
        "New connections of the busiest ports. Without data: --service-traffic-metrics is none.",
        {
          [BY_PORT]: `topk(10, ${traffic("connections")})`,
        },
      ),
      lines("Packets from clients", "ops", "Packets of the busiest ports.", {
        [BY_PORT]: `topk(10, ${traffic("incoming_packets")})`,
      }),
      lines(
        "Packets to clients",
        "ops",
        "Packets of the busiest ports. None, while clients send: no endpoint answers through IPVS.",
        {
          [BY_PORT]: `topk(10, ${traffic("outgoing_packets")})`,
        },
      ),
      lines("Bytes from clients", "Bps", "Bytes of the busiest ports.", {
        [BY_PORT]: `topk(10, ${traffic("incoming_bytes")})`,
      }),
      lines("Bytes to clients", "Bps", "Bytes of the busiest ports.", {
        [BY_PORT]: `topk(10, ${traffic("outgoing_bytes")})`,
      }),
      lines(
        "Virtual servers by Service",
        "short",
        "Those with the most on a node. Without data: --virtual-server-info is off.",
        {
          [BY_PORT]: `topk(10, max by (namespace, service, port) (count by (node, namespace, service, port) (${of("kube_ipvs_virtual_server_info", 'service=~"$service"')})))`,
        },
      ),
    ],
  },
  {
    question: "How is the process?",
    panels: [
      lines("CPU", "percentunit", "Of one CPU.", { "{{node}}": rate("process_cpu_seconds_total") }),
      lines("Memory", "bytes", "Resident, and of it the heap of JavaScript.", {
        "{{node}}": of("process_resident_memory_bytes"),
        "{{node}} heap": of("nodejs_heap_size_used_bytes"),
      }),
      lines("Delay of the event loop", "s", "The 99th percentile of its turns.", {
        "{{node}}": of("nodejs_eventloop_lag_p99_seconds"),
      }),
      lines("Requests to API servers", "ops", "By status code.", {
        "{{code}}": `sum by (code) (${rate("rest_client_requests_total")})`,
      }),
      lines("Watches", "Bps", "Bytes of lists and watches.", {
        "{{resource}}": `sum by (resource) (${rate("kube_ipvs_watch_bytes_total")})`,
      }),
    ],
  },
];
