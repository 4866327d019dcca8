import type { Registry } from "prom-client";
import { SETUP_OBJECTS, type SetupObject, type TableState } from "../../kernel/kernel.ts";
import type { IPFamily } from "../../model/address.ts";
import { TRAFFIC_SIDES, type TrafficSide } from "../../model/cluster/service.ts";
import { ipsets } from "../../model/kernel/ipset.ts";
import { OPERATION_KINDS } from "../../model/kernel/operation.ts";
import type { IptablesBackend } from "../../model/kernel/rules.ts";
import type { Readings } from "../../model/time/clock.ts";
import type {
  DriftCount,
  DriftKind,
  DriftObject,
  ObjectCounts,
  ReconcileState,
  ResyncReport,
  SyncReport,
} from "../../sync/sync-report.ts";
import { type HealthAnswer, type Probe, succeeded } from "../health.ts";
import { kubeProxyMetrics } from "./kube-proxy-metrics.ts";
import { boundedErrno, type NetlinkCounts } from "./netlink-metrics.ts";
import { ownMetrics } from "./own-metrics.ts";
import { SyncTimes } from "./sync-times.ts";
import { UnixTimes } from "./unix-times.ts";

/** The kind of object that changed, for kube-proxy's metrics of changes. */
export type ChangedResource = "service" | "endpoint";

const OBJECTS: Readonly<Record<keyof ObjectCounts, DriftObject>> = {
  virtualServers: "virtual-server",
  realServers: "real-server",
  addresses: "address",
  entries: "entry",
};
const DRAIN_ENDS = ["idle", "timeout"] as const;
const DRIFT_KINDS: readonly DriftKind[] = ["missing", "different", "unwanted"];

/** The dependencies of Metrics. */
export interface MetricsOptions {
  readonly registry: Registry;
  /** The IP families that are served. Metrics that kube-proxy has by family get the same value for each of them. */
  readonly families: readonly IPFamily[];
  /** The number of packet marks for virtual servers. */
  readonly marks: number;
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
  readonly #clock: Readings;
  #setMembers: ReconcileState["setMembers"] = new Map();
  /** The drains that are counted. */
  #drainEnds: ReconcileState["drainEnds"] = { idle: 0, timeout: 0 };

  constructor({ registry, families, marks, clock, netlink }: MetricsOptions) {
    this.#families = families;
    this.#clock = clock;
    const sets = { sets: families.flatMap(ipsets), members: () => this.#setMembers, marks };
    this.#own = ownMetrics([registry], { netlink, ...sets });
    this.#kubeProxy = kubeProxyMetrics([registry]);
    this.#times = new SyncTimes(registry, families, new UnixTimes(clock));
    this.#showZeros();
  }

  /** Sets counters to 0. A counter that is absent before its first event hides that event from rate(). */
  #showZeros(): void {
    for (const object of Object.values(OBJECTS))
      for (const kind of DRIFT_KINDS) this.#own.drift.inc({ object, kind }, 0);
    for (const object of [...Object.values(OBJECTS), ...SETUP_OBJECTS]) this.#own.repairs.inc({ object }, 0);
    for (const reason of DRAIN_ENDS) this.#own.drainEnds.inc({ reason }, 0);
    for (const kind of ["flush", "change"] as const) this.#own.externalChanges.inc({ kind }, 0);
    for (const operation of OPERATION_KINDS) this.#own.operations.inc({ operation, result: "ok" }, 0);
    for (const ip_family of this.#families) {
      this.#kubeProxy.restoreFailures.inc({ ip_family }, 0);
      this.#kubeProxy.syncDuration.zero({ ip_family });
      this.#kubeProxy.fullSyncDuration.zero({ ip_family });
      this.#kubeProxy.partialSyncDuration.zero({ ip_family });
      this.#kubeProxy.programming.zero({ ip_family });
    }
    this.recordNoLocalEndpoints({ count: () => 0 });
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
    const byExtent = report.full ? this.#kubeProxy.fullSyncDuration : this.#kubeProxy.partialSyncDuration;
    for (const ip_family of this.#families) {
      this.#kubeProxy.syncDuration.observe({ ip_family }, seconds);
      byExtent.observe({ ip_family }, seconds);
    }
    if (succeeded(report)) this.#times.lastSuccessMs = report.startedAtMs + report.durationMs;
    if (report.pending === 0) {
      this.#kubeProxy.endpointChangesPending.set(0);
      this.#kubeProxy.serviceChangesPending.set(0);
    }
    this.#recordDrift(report.drift);
    this.#own.pendingObjects.set(report.pending);
    this.recordState(report.state);
  }

  /** Records the numbers of desired, actual and pending objects. */
  recordState(state: ReconcileState): void {
    this.#own.failedObjects.set(state.failedObjects);
    this.#times.oldestPendingMs = state.oldestPendingMs;
    this.#own.draining.set(state.drainingRealServers);
    this.#times.oldestDrainMs = state.oldestDrainMs;
    for (const reason of DRAIN_ENDS) {
      this.#own.drainEnds.inc({ reason }, state.drainEnds[reason] - this.#drainEnds[reason]);
    }
    this.#drainEnds = state.drainEnds;
    this.#own.foreign.set(state.foreignServers);
    this.#setMembers = state.setMembers;
    // OBJECTS is a Record of exactly these keys.
    for (const [key, object] of Object.entries(OBJECTS) as [keyof ObjectCounts, DriftObject][]) {
      this.#own.desired.set({ object }, state.desired[key]);
      this.#own.actual.set({ object }, state.actual[key]);
    }
  }

  /** Records a resync that ended. */
  recordResync(report: ResyncReport): void {
    this.#own.resyncDuration.observe(report.durationMs / 1000);
    this.#times.lastResyncMs = this.#clock.now();
    this.#recordDrift(report.drift);
  }

  #recordDrift(drift: readonly DriftCount[]): void {
    for (const { object, kind, count } of drift) {
      this.#own.drift.inc({ object, kind }, count);
      this.#own.repairs.inc({ object }, count);
    }
  }

  /** Counts a resync that found changes by other programs. */
  recordExternalChange(kind: "flush" | "change"): void {
    this.#own.externalChanges.inc({ kind });
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
    this.#own.programming.observe(latencyMs / 1000);
  }

  /** Sets the numbers of Services whose traffic of a side is dropped because they have no endpoint on this node. */
  recordNoLocalEndpoints(services: { count(side: TrafficSide, family: IPFamily): number }): void {
    for (const ip_family of this.#families)
      for (const traffic_policy of TRAFFIC_SIDES)
        this.#kubeProxy.noLocalEndpoints.set({ ip_family, traffic_policy }, services.count(traffic_policy, ip_family));
  }

  /** Sets the number of Services without endpoints. */
  recordWithoutEndpoints(count: number): void {
    this.#own.withoutEndpoints.set(count);
  }

  /** Sets the number of problems. */
  recordRejected(count: number): void {
    this.#own.problems.set(count);
  }

  /** Sets the number of other service proxies that work on this node. */
  recordOtherProxies(count: number): void {
    this.#own.otherProxies.set(count);
  }

  /** Sets the number of failed steps of the node preparation. */
  recordNodeProblems(count: number): void {
    this.#own.nodeProblems.set(count);
  }

  /** Sets the desired sysctls, and those of them with a wrong value, by path. Replaces the earlier ones. */
  recordSysctls(desired: readonly string[], wrong: readonly string[]): void {
    this.#own.wrongSysctls.reset();
    for (const name of desired) this.#own.wrongSysctls.set({ name }, 0);
    for (const name of wrong) this.#own.wrongSysctls.set({ name }, 1);
  }

  /** Counts repaired objects of the node's setup. */
  recordRepairs(object: SetupObject, count: number): void {
    this.#own.repairs.inc({ object }, count);
  }

  /** Sets which tables of rules are as desired. Replaces the earlier ones. */
  recordTables(tables: readonly TableState[]): void {
    this.#own.wrongTables.reset();
    for (const { family, table, isDesired } of tables)
      this.#own.wrongTables.set({ ip_family: family, table }, isDesired ? 0 : 1);
  }

  /** Sets the iptables backend in use, and the rules in the other one for each family that could be read. */
  recordBackends(used: IptablesBackend, otherRules: ReadonlyMap<IPFamily, number>): void {
    this.#own.iptablesBackend.reset();
    this.#own.iptablesBackend.set({ backend: used }, 1);
    this.#own.otherBackendRules.reset();
    for (const [ip_family, count] of otherRules) this.#own.otherBackendRules.set({ ip_family }, count);
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
