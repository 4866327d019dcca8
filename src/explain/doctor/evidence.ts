import type { SetFill } from "../../kernel/ipset/set-queries.ts";
import type { SourcePorts } from "../../kernel/kernel.ts";
import type { ForeignTable } from "../../kernel/nftables/foreign-tables.ts";
import type { IPFamily } from "../../model/address.ts";
import type { Scheduler } from "../../model/kernel/ipvs.ts";
import type { Rules } from "../../model/kernel/rules.ts";
import type { Sysctl } from "../../model/kernel/sysctl.ts";

/** What was read of a node. A part that could not be read is absent; nothing was changed. */
export interface NodeEvidence {
  /** Why IPVS cannot be used; "" if it can. */
  readonly unavailable: string;
  /** What a preparation of the node would change or could not read: interface, sets, rules of both backends. */
  readonly differences: readonly string[];
  readonly unreadable: readonly string[];
  /** Rules of other programs in the backend of iptables that the agent does not use. */
  readonly backendWarnings: readonly string[];
  readonly sysctls: readonly (Sysctl & { readonly found: string | undefined })[];
  /** The texts of `iptables-save -c`, of each backend that has rules. */
  readonly saved: Readonly<Partial<Record<IPFamily, readonly string[]>>>;
  readonly rules: Readonly<Partial<Record<IPFamily, Rules>>>;
  /** Tables of nftables that iptables does not show. */
  readonly foreignTables: readonly ForeignTable[];
  readonly scheduler: Scheduler;
  /** The schedulers that are neither loaded nor found as a module. */
  readonly missingSchedulers: readonly Scheduler[];
  /** Modules of which this kernel has no file. */
  readonly missingModules: readonly string[];
  readonly sets: readonly SetFill[];
  readonly conntrack?: ConntrackFill;
  readonly estimation?: Estimation;
  /** The number of VIPs that are bound as addresses. */
  readonly vipAddresses?: number;
  readonly sourcePorts?: SourcePorts;
  readonly nodePorts: readonly number[];
  readonly hasUdpServices: boolean;
  readonly reversePath: ReversePath;
  /** The MTU of each interface. */
  readonly mtus: ReadonlyMap<string, number>;
  /** The names of running processes, as in /proc/PID/comm; each once. */
  readonly processes: readonly string[];
  /** The names of network interfaces. */
  readonly interfaces: readonly string[];
  /** Other service proxies in the network namespace of the node, as "kube-proxy (process 12)". */
  readonly otherProxies: readonly string[];
  /** The programs that say of themselves that they manage kube-ipvs0. */
  readonly managers: readonly string[];
  /** The address of the metrics server of the agent, if another program answers there. */
  readonly occupiedPort?: OccupiedPort;
  readonly strictArp: boolean;
  /** Of the source of Services; "" if it was read. */
  readonly sourceFailure: string;
  readonly servers: readonly ServerEvidence[];
  readonly certificates: readonly CertificateEvidence[];
}

export interface ConntrackFill {
  readonly count: number;
  readonly max: number;
  /** Packets that were dropped because the table was full, since the start of the node. */
  readonly dropped: number;
}

/** The kernel computes rates for each virtual server and each real server, one estimator each. */
export interface Estimation {
  /** net/ipv4/vs/run_estimation; kernels before 5.16 do not have it and always estimate. */
  readonly isOn: boolean;
  readonly estimators: number;
  readonly kernelRelease: string;
}

/** The check of the source address of packets against the routes. */
export interface ReversePath {
  /** The interfaces on which it is strict: net/ipv4/conf/NAME/rp_filter is 1. */
  readonly strict: readonly string[];
  /** The packets that it has dropped since the start of the node. */
  readonly dropped: number;
}

export interface OccupiedPort {
  readonly address: string;
  /** The process that listens there, as "kube-proxy (process 12)"; "" if unknown. */
  readonly owner: string;
}

/** An API server, as seen from this node. */
export interface ServerEvidence {
  readonly url: string;
  /** Why it does not answer; "" if it does. */
  readonly failure: string;
  /** The address that answers, with its port; "" if none does. */
  readonly address: string;
  /** This clock minus the clock of the server, in ms; undefined if unknown. */
  readonly clockAheadMs: number | undefined;
}

/** A certificate that this node presents or is presented. */
export interface CertificateEvidence {
  /** As "the client certificate of kubeconfig "PATH"". */
  readonly name: string;
  readonly kind: "server" | "client" | "metrics";
  /** How long it is still valid, in ms. */
  readonly leftMs: number;
}
