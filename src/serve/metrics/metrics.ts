import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Errno } from "../../kernel/kernel.ts";
import type { IPFamily } from "../../model/address.ts";
import type { Readings } from "../../model/clock.ts";
import { TRAFFIC_SIDES, type TrafficSide } from "../../model/cluster/service.ts";
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

/** How much has gone over netlink since the process began. */
export interface NetlinkCounts {
  readonly sends: number;
  readonly messages: number;
  readonly errors: ReadonlyMap<Errno, number>;
}

/** What an event told of, for kube-proxy's counts of changes. */
export type ChangedResource = "service" | "endpoint";

const OBJECTS: Readonly<Record<keyof ObjectCounts, DriftObject>> = {
  virtualServers: "virtual-server",
  realServers: "real-server",
  addresses: "address",
  entries: "entry",
};
const DRIFT_KINDS: readonly DriftKind[] = ["missing", "different", "unwanted"];

/** kube-proxy's: 1 ms doubled 14 times. */
export const SYNC_BUCKETS = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

/** kube-proxy's: up to 5 minutes, finest in the first one. */
const PROGRAMMING_BUCKETS = [0.25, 0.5, ...steps(1, 59, 1), ...steps(60, 115, 5), ...steps(120, 300, 30)];

/** One change takes tens of microseconds, a first sync of 100,000 endpoints seconds. */
const OWN_SYNC_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const OPERATION_BUCKETS = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

function steps(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

/** Ours. Labels are bounded: words of this program, and errno. */
function ownMetrics(registers: Registry[], netlink: () => NetlinkCounts) {
  return {
    syncDuration: new Histogram({
      name: "kube_ipvs_sync_duration_seconds",
      help: "Duration of a sync, from the plan to the kernel's last answer. A sync costs what has changed.",
      buckets: OWN_SYNC_BUCKETS,
      registers,
    }),
    syncOperations: new Histogram({
      name: "kube_ipvs_sync_operations",
      help: "Kernel operations of a sync. Much at rest means that something else changes our objects.",
      buckets: OPERATION_BUCKETS,
      registers,
    }),
    lookDuration: new Histogram({
      name: "kube_ipvs_look_duration_seconds",
      help: "Duration of a look, in which all that the kernel holds is read and compared with what is believed.",
      buckets: OWN_SYNC_BUCKETS,
      registers,
    }),
    operations: new Counter({
      name: "kube_ipvs_operations_total",
      help: "Operations asked of the kernel by kind and result: ok or the errno of the refusal. Refused ones are retried.",
      labelNames: ["operation", "result"] as const,
      registers,
    }),
    pendingKeys: new Gauge({
      name: "kube_ipvs_pending_keys",
      help: "Kernel objects that still had to be looked at when the last sync ended. Growing: syncs do not keep up.",
      registers,
    }),
    refusedKeys: new Gauge({
      name: "kube_ipvs_refused_keys",
      help: "Kernel objects whose last operation was refused and that wait for their retry. Above 0 for minutes: see the log for the object and kube_ipvs_operations_total for the errno.",
      registers,
    }),
    desired: new Gauge({
      name: "kube_ipvs_desired_objects",
      help: "Kernel objects that the Services want of this node.",
      labelNames: ["object"] as const,
      registers,
    }),
    held: new Gauge({
      name: "kube_ipvs_held_objects",
      help: "Kernel objects of ours that the kernel holds. More than desired: draining; less: refused or pending.",
      labelNames: ["object"] as const,
      registers,
    }),
    draining: new Gauge({
      name: "kube_ipvs_draining_real_servers",
      help: "Real servers that are no longer wanted and take no new connections, kept until their connections end or the drain timeout.",
      registers,
    }),
    foreign: new Gauge({
      name: "kube_ipvs_foreign_virtual_servers",
      help: "IPVS virtual servers on this node that are not ours and are left alone.",
      registers,
    }),
    rejected: new Gauge({
      name: "kube_ipvs_rejected_objects",
      help: "Objects or fields that were asked for and cannot be done, as an invalid address. The log names object, field and value.",
      registers,
    }),
    nodeProblems: new Gauge({
      name: "kube_ipvs_node_problems",
      help: "Things that this node lacks, as sysctls, sets or iptables rules. The log names each once, when it begins.",
      registers,
    }),
    wrongSysctls: new Gauge({
      name: "kube_ipvs_sysctl_wrong",
      help: "Sysctls that are not as wanted and could not be set, 1 each. The log says what to do, and /readyz where Services need it.",
      labelNames: ["name"],
      registers,
    }),
    kernelFailures: new Counter({
      name: "kube_ipvs_kernel_failures_total",
      help: "Requests to the kernel that failed as a whole or were not answered. Each is followed by a resync.",
      registers,
    }),
    nodeFound: new Gauge({
      name: "kube_ipvs_node_found",
      help: "Whether a Node has the name of this node: 0 when none has, so that no endpoint counts as local to it.",
      registers,
    }),
    drift: new Counter({
      name: "kube_ipvs_drift_total",
      help: "Kernel objects found other than believed, by object and kind: missing, different, unwanted. They are mended; a steady rate means that something else writes to our objects.",
      labelNames: ["object", "kind"] as const,
      registers,
    }),
    ...netlinkMetrics(registers, netlink),
  };
}

/** Counted where they arise, fetched when scraped. */
function netlinkMetrics(registers: Registry[], netlink: () => NetlinkCounts) {
  return {
    netlinkSends: new Counter({
      name: "kube_ipvs_netlink_sends_total",
      help: "System calls that sent netlink messages; messages for each send tell how well work is batched.",
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
      help: "Errors that came back over netlink, by errno. Some belong to normal work, as EEXIST after a restart.",
      labelNames: ["errno"] as const,
      registers,
      collect() {
        this.reset();
        for (const [errno, count] of netlink().errors) this.inc({ errno: boundedErrno(errno) }, count);
      },
    }),
  };
}

/** kube-proxy's, by its names, labels and buckets, so that dashboards and alerts go on working. */
function kubeProxyMetrics(registers: Registry[]) {
  const byFamily = { labelNames: ["ip_family"] as const, registers };
  const byCode = { labelNames: ["code"] as const, registers };
  return {
    syncDuration: new Histogram({
      name: "kubeproxy_sync_proxy_rules_duration_seconds",
      help: "Duration of a sync, as kube-proxy tells it. kube_ipvs_sync_duration_seconds has buckets below 1 ms.",
      buckets: SYNC_BUCKETS,
      ...byFamily,
    }),
    endpointChangesPending: new Gauge({
      name: "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
      help: "EndpointSlice events that no complete sync has taken up yet.",
      registers,
    }),
    endpointChanges: new Counter({
      name: "kubeproxy_sync_proxy_rules_endpoint_changes_total",
      help: "EndpointSlice events that were told, whatever they changed.",
      registers,
    }),
    serviceChangesPending: new Gauge({
      name: "kubeproxy_sync_proxy_rules_service_changes_pending",
      help: "Service events that no complete sync has taken up yet.",
      registers,
    }),
    serviceChanges: new Counter({
      name: "kubeproxy_sync_proxy_rules_service_changes_total",
      help: "Service events that were told, whatever they changed.",
      registers,
    }),
    noLocalEndpoints: new Gauge({
      name: "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
      help: "Services with a traffic policy Local whose clients are dropped: there are endpoints, and none is on this node.",
      labelNames: ["ip_family", "traffic_policy"] as const,
      registers,
    }),
    programming: new Histogram({
      name: "kubeproxy_network_programming_duration_seconds",
      help: "Time from the change of a Service or pod, as the EndpointSlice tells it, until the kernel was programmed for it.",
      buckets: PROGRAMMING_BUCKETS,
      ...byFamily,
    }),
    restoreFailures: new Counter({
      name: "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
      help: "Failed attempts to write the static iptables rules. Above 0: masquerading may be missing; the log has the message of iptables-restore.",
      ...byFamily,
    }),
    healthz: new Counter({
      name: "kubeproxy_proxy_healthz_total",
      help: "Answers of /healthz by HTTP status. 503: syncs fail, or the node is leaving.",
      ...byCode,
    }),
    livez: new Counter({
      name: "kubeproxy_proxy_livez_total",
      help: "Answers of /livez by HTTP status. 503: syncs fail.",
      ...byCode,
    }),
  };
}

/** What the metrics are made from. */
export interface MetricsOptions {
  readonly registry: Registry;
  /** The families served. One engine serves both, so what kube-proxy tells by family is the same for each. */
  readonly families: readonly IPFamily[];
  readonly clock: Readings;
  /** Asked at each scrape; never less than before. */
  readonly netlink: () => NetlinkCounts;
}

/** Every metric of ours and of the process: registered when constructed, kept by what is recorded. */
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

  /** A counter that is missing until its first event hides that event from rate(). */
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

  /** A sync has ended. */
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

  /** Sizes of what is wanted, held and waited for, as they are now. */
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

  /** A look at the kernel has ended. */
  recordLook(report: LookReport): void {
    this.#own.lookDuration.observe(report.durationMs / 1000);
    this.#recordDrift(report.drift);
  }

  #recordDrift(drift: readonly DriftCount[]): void {
    for (const { object, kind, count } of drift) this.#own.drift.inc({ object, kind }, count);
  }

  /** A sync was asked for, at this time of `Clock.now`. */
  recordRequest(nowMs: number): void {
    this.#times.lastQueuedMs = nowMs;
  }

  /** An event told of a change. */
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

  /** The kernel has been programmed for a change that was made `latencyMs` ago. */
  recordProgrammed(ip_family: IPFamily, latencyMs: number): void {
    this.#kubeProxy.programming.observe({ ip_family }, latencyMs / 1000);
  }

  /** Of how many Services the clients of a side are dropped for want of an endpoint on this node. */
  recordNoLocalEndpoints(countOf: (side: TrafficSide, family: IPFamily) => number): void {
    for (const ip_family of this.#families)
      for (const traffic_policy of TRAFFIC_SIDES)
        this.#kubeProxy.noLocalEndpoints.set({ ip_family, traffic_policy }, countOf(traffic_policy, ip_family));
  }

  /** How many rejections stand. */
  recordRejected(count: number): void {
    this.#own.rejected.set(count);
  }

  /** So many things are not as wanted on this node. */
  recordNodeProblems(count: number): void {
    this.#own.nodeProblems.set(count);
  }

  /** These sysctls are not as wanted, by their paths, and no others. */
  recordWrongSysctls(names: readonly string[]): void {
    this.#own.wrongSysctls.reset();
    for (const name of names) this.#own.wrongSysctls.set({ name }, 1);
  }

  /** A request to the kernel failed or was not answered. */
  recordKernelFailure(): void {
    this.#own.kernelFailures.inc();
  }

  /** Whether a Node has the name of this node, as far as is known. */
  recordNodeFound(isFound: boolean): void {
    this.#own.nodeFound.set(isFound ? 1 : 0);
  }

  /** The static rules of a family could not be written. */
  recordRestoreFailure(ip_family: IPFamily): void {
    this.#kubeProxy.restoreFailures.inc({ ip_family });
  }

  /** A probe was answered. kube-proxy has no /readyz, so none is counted. */
  recordProbe(probe: Probe, { status }: HealthAnswer): void {
    if (probe !== "readyz") this.#kubeProxy[probe].inc({ code: String(status) });
  }
}

/** A number without a name ("E1234") could be any: together they are one value. */
function boundedErrno(errno: Errno): string {
  return /^(E[A-Z][A-Z0-9]*|IPSET_ERR_\w+)$/.test(errno) ? errno : "other";
}
