import type { Cidr, IPAddress, IPFamily } from "../model/address.ts";
import type { SetEntry, SetEntryKey } from "../model/kernel/ipset.ts";
import type { IpvsTimeoutName, RealServerKey, VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { Operation } from "../model/kernel/operation.ts";
import type { Rules } from "../model/kernel/rules.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import type { Sysctl } from "../model/kernel/sysctl.ts";
import type { PortRange } from "../model/port-range.ts";

/** Symbolic name as in errno.h, "EEXIST"; "E1234" for one without a name; "IPSET_ERR_…" for the codes of ipset's own. */
export type Errno = string;

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly errno: Errno; readonly text?: string };

/** What the node is to be for Services. The rules are complete texts, so that writing them is idempotent. */
export interface NodeSetup {
  /** The families this node and we serve. */
  readonly families: readonly IPFamily[];
  /** Static iptables chains, as iptables-save prints them; a family without is left alone. */
  readonly rules: Readonly<Partial<Record<IPFamily, Rules>>>;
  /**
   * Members that are in their sets before any rule is written, besides what is there: what rules must know of the node
   * itself before anything is known of Services. A refusal is not reported here, as a sync tries again.
   */
  readonly members?: readonly SetEntry[];
  /** Below /proc/sys, slashes; written only when different. */
  readonly sysctls: readonly Sysctl[];
  /** Addresses of these networks on kube-ipvs0 are somebody else's, and stay as they are. */
  readonly excludedCIDRs?: readonly Cidr[];
  /** Of those that are not here nothing is asked. */
  readonly ipvsTimeouts?: readonly IpvsTimeout[];
}

/** How long IPVS is to remember connections of one kind without packets. */
export interface IpvsTimeout {
  readonly name: IpvsTimeoutName;
  readonly seconds: number;
  /** As in Sysctl. */
  readonly flag: string;
}

/** A setting that is not as wanted and could not be made so. */
export interface WrongSysctl extends Pick<Sysctl, "path" | "required"> {
  /** What it is, what it should be, why it was not set and what to do, for people. */
  readonly text: string;
}

/** What prepare changed and what it could not: for the log and the metrics. */
export interface SetupReport {
  readonly changed: readonly string[];
  /** All that is not as wanted, for people. */
  readonly warnings: readonly string[];
  /** Of the warnings those about sysctls; absent: none. */
  readonly wrongSysctls?: readonly WrongSysctl[];
  /** Absent where the kernel does not say. */
  readonly sourcePorts?: SourcePorts;
  readonly bridges?: BridgeFacts;
}

export interface BridgeFacts {
  /** Families of which bridged packets do not pass netfilter, and so not IPVS. */
  readonly unfiltered: readonly IPFamily[];
  /** Those that are up and have an address. */
  readonly bridges: readonly Bridge[];
}

export interface Bridge {
  readonly name: string;
  readonly addresses: readonly IPAddress[];
}

/** From which ports Linux makes connections of the node's own processes that ask for none. */
export interface SourcePorts {
  readonly chosen: readonly PortRange[];
  /** Of those the ones that it leaves out. */
  readonly reserved: readonly PortRange[];
}

/** What came of writing the static rules: `wrote table "nat" of IPv4`, and what could not be read or written. */
export interface RulesReport {
  readonly changed: readonly string[];
  readonly failures: readonly RuleFailure[];
}

/** The rules of one family could not be read, or a table of them not written. */
export interface RuleFailure {
  readonly family: IPFamily;
  /** What could not be done and why, for people. */
  readonly message: string;
}

/** The kernel as it was seen, ours and others' alike; or a part of that. */
export interface Observed {
  readonly servers: ReadonlyMap<VirtualServerKey, ServerState>;
  /** Virtual servers that no key can name: of a protocol unknown to Kubernetes. */
  readonly unnamedServers: number;
  /** Addresses on kube-ipvs0, without IPv6 link-local. */
  readonly addresses: ReadonlySet<IPAddress>;
  readonly entries: ReadonlyMap<SetEntryKey, SetEntry>;
}

export interface Connections {
  readonly active: number;
  readonly inactive: number;
}

/** What came of forgetting stale flows of one family, for the metrics. */
export interface ForgottenFlows {
  readonly family: IPFamily;
  readonly flows: number;
  readonly durationMs: number;
}

/**
 * The node's kernel, as far as a service proxy needs it. Every method rejects with a KernelError only when the kernel could not
 * be asked or did not answer, and with anything else on a bug; a refusal is an Outcome. A read that fails rejects: it is never a smaller answer.
 */
export interface Kernel {
  /**
   * Makes the node ready, but for its rules: sysctls, timeouts of IPVS, kube-ipvs0, sets, members. Idempotent; writes nothing that
   * is already right. A part that cannot be had is a warning and keeps no other from being done: rejects only without IPVS.
   */
  prepare(setup: NodeSetup): Promise<SetupReport>;
  /**
   * Writes the static chains, which name sets, and the jumps into them, where they are not right already. May take minutes where
   * iptables waits for somebody: all else may be called meanwhile. One call at a time. Rejects on bugs only.
   */
  writeRules(setup: NodeSetup): Promise<RulesReport>;
  /** Everything, or of the virtual servers only the named ones (addresses and entries are then empty). */
  observe(scope: "all" | ReadonlySet<VirtualServerKey>): Promise<Observed>;
  /**
   * Everything, part by part. Each is read when it is asked for, and others have their turn in between; no part takes long.
   * What was in the kernel all the time is shown, but for a virtual server: those that go meanwhile can hide another, so
   * one that is missed must be asked for by name. When reading fails after some parts, the next is not there but rejects.
   */
  parts(): AsyncIterable<Observed>;
  /** In order, one outcome each, in the order given. */
  apply(operations: readonly Operation[]): Promise<readonly Outcome[]>;
  /** Live connections of the real servers of the named virtual servers; one that is gone is left out. */
  connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, Connections>>>;
  /** Addresses that this node can be reached at on every interface but kube-ipvs0, loopback and IPv6 link-local included. */
  nodeAddresses(): Promise<readonly IPAddress[]>;
  /** Removes kube-ipvs0, our sets and our chains, of the families given. Virtual servers are the caller's to delete first. */
  remove(families: readonly IPFamily[]): Promise<SetupReport>;
  close(): Promise<void>;
}
