import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { IPFamily } from "../../model/address.ts";
import { type IPSet, memberLimit } from "../../model/kernel/ipset.ts";
import { type NetlinkCounts, netlinkMetrics } from "./netlink-metrics.ts";

/** The sync of one change takes tens of microseconds. The first sync of 100,000 endpoints takes seconds. */
const OWN_SYNC_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
/** From the change of an object until the kernel is programmed: milliseconds, of which the agent has a few. */
const PROGRAMMING_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const OPERATION_BUCKETS = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

/** The sets that may have members, and the number of members of each that has had some. `members` is called at each scrape. */
export interface SetReadings {
  readonly sets: readonly IPSet[];
  readonly members: () => ReadonlyMap<IPSet, number>;
  /** The number of marks for virtual servers of a family. */
  readonly marks: number;
}

/** The metrics of kube-ipvs. The number of label values is bounded: words of this program, sysctl names and errnos. */
export function ownMetrics(
  registers: Registry[],
  { netlink, sets, members, marks }: { readonly netlink: () => NetlinkCounts } & SetReadings,
) {
  return {
    setMembers: new Gauge({
      name: "kube_ipvs_set_members",
      help: "Members of each IP set of kube-ipvs in the kernel.",
      labelNames: ["set", "ip_family"] as const,
      registers,
      collect() {
        for (const set of sets) this.set(labelsOf(set), members().get(set) ?? 0);
      },
    }),
    setLimit: new Gauge({
      name: "kube_ipvs_set_member_limit",
      help: "Members that the IP set can have: a set grows by itself up to this size, and then refuses members.",
      labelNames: ["set", "ip_family"] as const,
      registers,
      collect() {
        for (const set of sets) this.set(labelsOf(set), memberLimit(set, marks));
      },
    }),
    wrongTables: new Gauge({
      name: "kube_ipvs_rules_wrong",
      help: "Each table of iptables with rules of kube-ipvs: 0 if they are as desired, 1 if they are wrong and could not be written. The log has the message of iptables-restore, or the other proxy that writes them.",
      labelNames: ["ip_family", "table"] as const,
      registers,
    }),
    repairs: new Counter({
      name: "kube_ipvs_repairs_total",
      help: "Objects that were right, differed later, and were repaired, by kind: those of kube_ipvs_drift_total, and link (kube-ipvs0), sysctl, ipvs-timeout, set and rules (a table of iptables). A steady rate: another program changes them.",
      labelNames: ["object"] as const,
      registers,
    }),
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
    resyncDuration: new Histogram({
      name: "kube_ipvs_resync_duration_seconds",
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
    pendingObjects: new Gauge({
      name: "kube_ipvs_pending_objects",
      help: "Kernel objects that were still waiting for a sync when the last sync ended. Growing: syncs do not keep up.",
      registers,
    }),
    failedObjects: new Gauge({
      name: "kube_ipvs_failed_objects",
      help: "Kernel objects whose last operation failed and that wait for a retry. Above 0 for minutes: the log names the first objects, and kube_ipvs_operations_total has the errno.",
      registers,
    }),
    desired: new Gauge({
      name: "kube_ipvs_desired_objects",
      help: "Kernel objects that this node should hold for all Services.",
      labelNames: ["object"] as const,
      registers,
    }),
    actual: new Gauge({
      name: "kube_ipvs_actual_objects",
      help: "Kernel objects of kube-ipvs that the kernel holds. More than desired: some are draining. Fewer: some failed or are pending.",
      labelNames: ["object"] as const,
      registers,
    }),
    draining: new Gauge({
      name: "kube_ipvs_draining_real_servers",
      help: "Real servers of removed endpoints. They get no new connections and are deleted when their connections end or at the drain timeout.",
      registers,
    }),
    drainEnds: new Counter({
      name: "kube_ipvs_drains_total",
      help: "Drains that have ended, by reason: idle (all connections have ended) or timeout (the drain timeout was over, and connections were cut).",
      labelNames: ["reason"] as const,
      registers,
    }),
    programming: new Histogram({
      name: "kube_ipvs_programming_duration_seconds",
      help: "The same time as kubeproxy_network_programming_duration_seconds, with buckets from 1 ms: from the change of a Service or pod until the kernel is programmed.",
      buckets: PROGRAMMING_BUCKETS,
      registers,
    }),
    withoutEndpoints: new Gauge({
      name: "kube_ipvs_services_without_endpoints",
      help: "Services without any endpoint in the cluster, whose clients are refused.",
      registers,
    }),
    foreign: new Gauge({
      name: "kube_ipvs_foreign_virtual_servers",
      help: "IPVS virtual servers on this node that other programs created. kube-ipvs does not change them.",
      registers,
    }),
    problems: new Gauge({
      name: "kube_ipvs_problems",
      help: "Fields of objects that are invalid or not served, for example an invalid address. The log names object, field and value; kube-ipvs plan lists all.",
      registers,
    }),
    nodeProblems: new Gauge({
      name: "kube_ipvs_node_problems",
      help: "Failed steps of the node preparation: sysctls, sets, iptables rules. The log names each problem once, when it begins.",
      registers,
    }),
    otherProxies: new Gauge({
      name: "kube_ipvs_other_proxies",
      help: "Other service proxies that have left traces on this node in the last 20 resyncs, such as a kube-proxy or a second kube-ipvs. Above 0: both write the same objects; the log names the other one.",
      registers,
    }),
    wrongSysctls: new Gauge({
      name: "kube_ipvs_sysctl_wrong",
      help: "Each sysctl that kube-ipvs sets: 0 if its value is right, 1 if it is wrong and could not be set. The log has the cure, and also /readyz if Services need the sysctl.",
      labelNames: ["name"],
      registers,
    }),
    iptablesBackend: new Gauge({
      name: "kube_ipvs_iptables_backend",
      help: "Is 1 for the iptables backend that kube-ipvs uses: legacy or nft. Not the same on all nodes of one image: compare the kubelets.",
      labelNames: ["backend"] as const,
      registers,
    }),
    otherBackendRules: new Gauge({
      name: "kube_ipvs_iptables_other_backend_rules",
      help: "Rules of other programs in the iptables backend that kube-ipvs does not use, as of the last 20th resync. Above 0: the kernel applies two sets of rules, and the log names the chains.",
      labelNames: ["ip_family"] as const,
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
    externalChanges: new Counter({
      name: "kube_ipvs_external_changes_total",
      help: "Resyncs that found changes by other programs, by kind: flush (all virtual servers were deleted) or change (anything else). The log has what was repaired. Above 0: find that program, kube-ipvs doctor looks for it.",
      labelNames: ["kind"] as const,
      registers,
    }),
    ...netlinkMetrics(registers, netlink),
  };
}

function labelsOf({ name, family }: IPSet): { readonly set: string; readonly ip_family: IPFamily } {
  return { set: name, ip_family: family };
}
