import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { IPFamily } from "../../model/address.ts";
import type { Readings } from "../../model/clock.ts";
import { TRAFFIC_SIDES, type TrafficSide } from "../../model/cluster/service.ts";
import type { Errno } from "../../model/kernel/errno.ts";
import { OPERATION_KINDS } from "../../model/kernel/operation.ts";
import type {
  DriftCount,
  DriftKind,
  DriftObject,
  LookReport,
  ObjectCounts,
  ReconcileState,
  SyncReport,
} from "../../sync/sync-report.ts";
import { type HealthAnswer, type Probe, succeeded } from "../health.ts";
import { SyncTimes } from "./sync-times.ts";
import { UnixTimes } from "./unix-times.ts";

/** The netlink traffic since the start of the process. */
export interface NetlinkCounts {
  readonly sends: number;
  readonly messages: number;
  readonly errors: ReadonlyMap<Errno, number>;
}

/** The kind of object that changed, for kube-proxy's metrics of changes. */
export type ChangedResource = "service" | "endpoint";

const OBJECTS: Readonly<Record<keyof ObjectCounts, DriftObject>> = {
  virtualServers: "virtual-server",
  realServers: "real-server",
  addresses: "address",
  entries: "entry",
};
const DRIFT_KINDS: readonly DriftKind[] = ["missing", "different", "unwanted"];

/** The buckets of kube-proxy: 1 ms, doubled 14 times. */
export const SYNC_BUCKETS = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

/** The buckets of kube-proxy: up to 5 minutes, with the smallest steps in the first minute. */
const PROGRAMMING_BUCKETS = [0.25, 0.5, ...steps(1, 59, 1), ...steps(60, 115, 5), ...steps(120, 300, 30)];

/** The sync of one change takes tens of microseconds. The first sync of 100,000 endpoints takes seconds. */
const OWN_SYNC_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const OPERATION_BUCKETS = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

function steps(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

/** The metrics of kube-ipvs. The number of label values is bounded: words of this program, sysctl names and errnos. */
function ownMetrics(registers: Registry[], netlink: () => NetlinkCounts) {
  return {
    syncDuration: new Histogram({
      name: "kube_ipvs_sync_duration_seconds",
      help: "Duration of a sync, from the plan to the last response of the kernel. It depends on the number of changes.",
      buckets: OWN_SYNC_BUCKETS,
      registers,
    }),
    syncOperations: new Histogram({
      name: "kube_ipvs_sync_operations",
      help: "Kernel operations of a sync. Many operations without changes of Services: another program changes the objects of kube-ipvs.",
      buckets: OPERATION_BUCKETS,
      registers,
    }),
    lookDuration: new Histogram({
      name: "kube_ipvs_look_duration_seconds",
      help: "Duration of a resync, which reads all kernel objects and compares them with the cached state.",
      buckets: OWN_SYNC_BUCKETS,
      registers,
    }),
    operations: new Counter({
      name: "kube_ipvs_operations_total",
      help: "Kernel operations by kind and result: ok or the errno of the failure. Failed operations are retried.",
      labelNames: ["operation", "result"] as const,
      registers,
    }),
    pendingKeys: new Gauge({
      name: "kube_ipvs_pending_keys",
      help: "Kernel objects that were still waiting for a sync when the last sync ended. Growing: syncs do not keep up.",
      registers,
    }),
    refusedKeys: new Gauge({
      name: "kube_ipvs_refused_keys",
      help: "Kernel objects whose last operation failed and that wait for a retry. Above 0 for minutes: the log names the first objects, and kube_ipvs_operations_total has the errno.",
      registers,
    }),
    desired: new Gauge({
      name: "kube_ipvs_desired_objects",
      help: "Kernel objects that this node should hold for all Services.",
      labelNames: ["object"] as const,
      registers,
    }),
    held: new Gauge({
      name: "kube_ipvs_held_objects",
      help: "Kernel objects of kube-ipvs that the kernel holds. More than desired: some are draining. Fewer: some failed or are pending.",
      labelNames: ["object"] as const,
      registers,
    }),
    draining: new Gauge({
      name: "kube_ipvs_draining_real_servers",
      help: "Real servers of removed endpoints. They get no new connections and are deleted when their connections end or at the drain timeout.",
      registers,
    }),
    foreign: new Gauge({
      name: "kube_ipvs_foreign_virtual_servers",
      help: "IPVS virtual servers on this node that other programs created. kube-ipvs does not change them.",
      registers,
    }),
    rejected: new Gauge({
      name: "kube_ipvs_rejected_objects",
      help: "Fields of objects that are invalid or not served, for example an invalid address. The log names object, field and value; kube-ipvs plan lists all.",
      registers,
    }),
    nodeProblems: new Gauge({
      name: "kube_ipvs_node_problems",
      help: "Failed steps of the node preparation: sysctls, sets, iptables rules. The log names each problem once, when it begins.",
      registers,
    }),
    wrongSysctls: new Gauge({
      name: "kube_ipvs_sysctl_wrong",
      help: "Is 1 for each sysctl that has a wrong value and could not be set. The log has the cure, and also /readyz if Services need the sysctl.",
      labelNames: ["name"],
      registers,
    }),
    kernelFailures: new Counter({
      name: "kube_ipvs_kernel_failures_total",
      help: "Requests to the kernel that failed as a whole or got no response. A resync follows each failure.",
      registers,
    }),
    nodeFound: new Gauge({
      name: "kube_ipvs_node_found",
      help: "Is 1 if a Node with the name of this node exists. 0: no endpoint counts as local to this node.",
      registers,
    }),
    drift: new Counter({
      name: "kube_ipvs_drift_total",
      help: "Kernel objects that differed from the cached state, by object and kind: missing, different, unwanted. They are repaired. A steady rate: another program changes the objects of kube-ipvs.",
      labelNames: ["object", "kind"] as const,
      registers,
    }),
    ...netlinkMetrics(registers, netlink),
  };
}

/** The metrics of netlink. `netlink` is called at each scrape. */
function netlinkMetrics(registers: Registry[], netlink: () => NetlinkCounts) {
  return {
    netlinkSends: new Counter({
      name: "kube_ipvs_netlink_sends_total",
      help: "System calls that sent netlink messages. Messages divided by sends is the mean batch size.",
      registers,
      collect() {
        this.reset();
        this.inc(netlink().sends);
      },
    }),
    netlinkMessages: new Counter({
      name: "kube_ipvs_netlink_messages_total",
      help: "Netlink messages sent.",
      registers,
      collect() {
        this.reset();
        this.inc(netlink().messages);
      },
    }),
    netlinkErrors: new Counter({
      name: "kube_ipvs_netlink_errors_total",
      help: "Errors in netlink responses by errno. Some errors are normal, for example EEXIST after a restart.",
      labelNames: ["errno"] as const,
      registers,
      collect() {
        this.reset();
        for (const [errno, count] of netlink().errors) this.inc({ errno: boundedErrno(errno) }, count);
      },
    }),
  };
}

/** The metrics of kube-proxy, with the same names, labels and buckets, so that dashboards and alerts keep working. */
function kubeProxyMetrics(registers: Registry[]) {
  const byFamily = { labelNames: ["ip_family"] as const, registers };
  const byCode = { labelNames: ["code"] as const, registers };
  return {
    syncDuration: new Histogram({
      name: "kubeproxy_sync_proxy_rules_duration_seconds",
      help: "Duration of a sync, as in kube-proxy. kube_ipvs_sync_duration_seconds has buckets below 1 ms.",
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

/** The dependencies of Metrics. */
export interface MetricsOptions {
  readonly registry: Registry;
  /** The IP families that are served. Metrics that kube-proxy has by family get the same value for each of them. */
  readonly families: readonly IPFamily[];
  readonly clock: Readings;
  /** Called at each scrape. Its counts never decrease. */
  readonly netlink: () => NetlinkCounts;
}

/** The metrics of syncs, kernel objects and probes. The constructor registers them, and the methods update them. */
export class Metrics {
  readonly #families: readonly IPFamily[];
  readonly #own: ReturnType<typeof ownMetrics>;
  readonly #kubeProxy: ReturnType<typeof kubeProxyMetrics>;
  readonly #times: SyncTimes;

  constructor({ registry, families, clock, netlink }: MetricsOptions) {
    this.#families = families;
    this.#own = ownMetrics([registry], netlink);
    this.#kubeProxy = kubeProxyMetrics([registry]);
    this.#times = new SyncTimes(registry, families, new UnixTimes(clock));
    this.#showZeros();
  }

  /** Sets counters to 0. A counter that is absent before its first event hides that event from rate(). */
  #showZeros(): void {
    for (const object of Object.values(OBJECTS))
      for (const kind of DRIFT_KINDS) this.#own.drift.inc({ object, kind }, 0);
    for (const operation of OPERATION_KINDS) this.#own.operations.inc({ operation, result: "ok" }, 0);
    for (const ip_family of this.#families) {
      this.#kubeProxy.restoreFailures.inc({ ip_family }, 0);
      this.#kubeProxy.syncDuration.zero({ ip_family });
      this.#kubeProxy.programming.zero({ ip_family });
    }
    this.recordNoLocalEndpoints(() => 0);
    for (const code of ["200", "503"]) {
      this.#kubeProxy.healthz.inc({ code }, 0);
      this.#kubeProxy.livez.inc({ code }, 0);
    }
  }

  /** Records a sync that ended. */
  record(report: SyncReport): void {
    const seconds = report.durationMs / 1000;
    let operations = 0;
    for (const { kind, errno, count } of report.operations) {
      operations += count;
      this.#own.operations.inc({ operation: kind, result: errno === "" ? "ok" : boundedErrno(errno) }, count);
    }
    this.#own.syncDuration.observe(seconds);
    this.#own.syncOperations.observe(operations);
    for (const ip_family of this.#families) this.#kubeProxy.syncDuration.observe({ ip_family }, seconds);
    if (succeeded(report)) this.#times.lastSuccessMs = report.startedAtMs + report.durationMs;
    if (report.pending === 0) {
      this.#kubeProxy.endpointChangesPending.set(0);
      this.#kubeProxy.serviceChangesPending.set(0);
    }
    this.#recordDrift(report.drift);
    this.#own.pendingKeys.set(report.pending);
    this.recordState(report.state);
  }

  /** Records the numbers of desired, actual and pending objects. */
  recordState(state: ReconcileState): void {
    this.#own.refusedKeys.set(state.refusedKeys);
    this.#times.oldestPendingMs = state.oldestPendingMs;
    this.#own.draining.set(state.drainingRealServers);
    this.#own.foreign.set(state.foreignServers);
    // OBJECTS is a Record of exactly these keys.
    for (const [key, object] of Object.entries(OBJECTS) as [keyof ObjectCounts, DriftObject][]) {
      this.#own.desired.set({ object }, state.desired[key]);
      this.#own.held.set({ object }, state.held[key]);
    }
  }

  /** Records a resync that ended. */
  recordLook(report: LookReport): void {
    this.#own.lookDuration.observe(report.durationMs / 1000);
    this.#recordDrift(report.drift);
  }

  #recordDrift(drift: readonly DriftCount[]): void {
    for (const { object, kind, count } of drift) this.#own.drift.inc({ object, kind }, count);
  }

  /** Records that a sync was requested at this time of `Clock.now`. */
  recordRequest(nowMs: number): void {
    this.#times.lastQueuedMs = nowMs;
  }

  /** Counts a change of an object. */
  recordChange(resource: ChangedResource): void {
    switch (resource) {
      case "endpoint":
        this.#kubeProxy.endpointChanges.inc();
        this.#kubeProxy.endpointChangesPending.inc();
        break;
      case "service":
        this.#kubeProxy.serviceChanges.inc();
        this.#kubeProxy.serviceChangesPending.inc();
    }
  }

  /** Records that the kernel is programmed for a change that was made `latencyMs` ago. */
  recordProgrammed(ip_family: IPFamily, latencyMs: number): void {
    this.#kubeProxy.programming.observe({ ip_family }, latencyMs / 1000);
  }

  /** Sets the numbers of Services whose traffic of a side is dropped because they have no endpoint on this node. */
  recordNoLocalEndpoints(countOf: (side: TrafficSide, family: IPFamily) => number): void {
    for (const ip_family of this.#families)
      for (const traffic_policy of TRAFFIC_SIDES)
        this.#kubeProxy.noLocalEndpoints.set({ ip_family, traffic_policy }, countOf(traffic_policy, ip_family));
  }

  /** Sets the number of problems. */
  recordRejected(count: number): void {
    this.#own.rejected.set(count);
  }

  /** Sets the number of failed steps of the node preparation. */
  recordNodeProblems(count: number): void {
    this.#own.nodeProblems.set(count);
  }

  /** Sets the sysctls with a wrong value, by path. Replaces the earlier ones. */
  recordWrongSysctls(names: readonly string[]): void {
    this.#own.wrongSysctls.reset();
    for (const name of names) this.#own.wrongSysctls.set({ name }, 1);
  }

  /** Counts a request to the kernel that failed or got no response. */
  recordKernelFailure(): void {
    this.#own.kernelFailures.inc();
  }

  /** Sets whether a Node with the name of this node is known. */
  recordNodeFound(isFound: boolean): void {
    this.#own.nodeFound.set(isFound ? 1 : 0);
  }

  /** Counts a failed attempt to write the static rules of a family. */
  recordRestoreFailure(ip_family: IPFamily): void {
    this.#kubeProxy.restoreFailures.inc({ ip_family });
  }

  /** Counts the response to a probe. /readyz is not counted, because kube-proxy has no metric for it. */
  recordProbe(probe: Probe, { status }: HealthAnswer): void {
    if (probe !== "readyz") this.#kubeProxy[probe].inc({ code: String(status) });
  }
}

/** The errno as a label. All numbers without a name ("E1234") become one value, to bound the number of labels. */
function boundedErrno(errno: Errno): string {
  return /^(E[A-Z][A-Z0-9]*|IPSET_ERR_\w+)$/.test(errno) ? errno : "other";
}
