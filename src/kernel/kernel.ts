import type { Cidr, IPAddress, IPFamily } from "../model/address.ts";
import type { Errno } from "../model/kernel/errno.ts";
import type { SetEntry, SetEntryKey } from "../model/kernel/ipset.ts";
import type { IpvsTimeoutName, RealServerKey, VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { Operation } from "../model/kernel/operation.ts";
import type { IptablesBackend, Rules, RuleTable } from "../model/kernel/rules.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import type { Sysctl } from "../model/kernel/sysctl.ts";
import type { PortRange } from "../model/port-range.ts";
import type { BoundVips } from "../model/vip-binding.ts";

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly errno: Errno; readonly text?: string };

/** The state that a node needs for Services. Each rule text is complete, so writing it is idempotent. */
export interface NodeSetup {
  /** The IP families that both the node and the agent serve. */
  readonly families: readonly IPFamily[];
  /** Static iptables chains, as iptables-save prints them; the rules of a family that is absent stay as they are. */
  readonly rules: Readonly<Partial<Record<IPFamily, Rules>>>;
  /**
   * Members that are added to their sets before any rule is written: facts about the node that the rules need before
   * the first Service is known. Other members stay. A refusal is not reported here, because a sync tries again.
   */
  readonly members?: readonly SetEntry[];
  /** Settings below /proc/sys; a setting is written only if it differs. */
  readonly sysctls: readonly Sysctl[];
  /** Addresses of these networks on kube-ipvs0 belong to other programs and stay as they are. */
  readonly excludedCIDRs?: readonly Cidr[];
  /**
   * The treatment of what kube-proxy has left of its iptables and nftables modes. "serve": it serves the Services until they
   * are programmed, so the rules that would replace it are not written yet. "remove": it is replaced and removed. Absent: the
   * rules are written, and everything else stays.
   */
  readonly leftovers?: "serve" | "remove";
  /** Timeouts that are not in this list stay as they are. */
  readonly ipvsTimeouts?: readonly IpvsTimeout[];
}

/** How long IPVS keeps connections of one kind that send no packets. */
export interface IpvsTimeout {
  readonly name: IpvsTimeoutName;
  readonly seconds: number;
  /** The command-line flag that sets this timeout, without hyphens. */
  readonly flag: string;
}

/** A setting that has the wrong value and could not be changed. */
export interface WrongSysctl extends Pick<Sysctl, "path" | "required"> {
  /**
   * The actual value, the desired value, why the setting could not be written, and what to do: text for an operator.
   */
  readonly text: string;
}

/** The kinds of objects that the setup of a node has. */
export const SETUP_OBJECTS = ["link", "sysctl", "ipvs-timeout", "set", "rules"] as const;
export type SetupObject = (typeof SETUP_OBJECTS)[number];

/** One change of the setup, with its text for an operator. */
export interface SetupChange {
  readonly object: SetupObject;
  readonly text: string;
}

/** What one step of a setup changed, and what it could not change: texts for an operator. */
export interface StepReport {
  readonly changed: readonly string[];
  /** Everything that differs from the setup. */
  readonly warnings: readonly string[];
  /** The warnings about sysctls; absent if there are none. */
  readonly wrongSysctls?: readonly WrongSysctl[];
}

/** What `prepare` changed, and what it could not change: for the log and the metrics. */
export interface SetupReport extends Omit<StepReport, "changed"> {
  readonly changed: readonly SetupChange[];
  /** Absent if the kernel does not show them. */
  readonly sourcePorts?: SourcePorts;
  readonly bridges?: BridgeFacts;
}

export interface BridgeFacts {
  /** Families for which bridged packets do not pass netfilter and therefore not IPVS. */
  readonly unfiltered: readonly IPFamily[];
  /** Bridges that are up and have an address. */
  readonly bridges: readonly Bridge[];
}

export interface Bridge {
  readonly name: string;
  readonly addresses: readonly IPAddress[];
}

/** The ports from which Linux chooses the source port of a connection when the process does not choose one. */
export interface SourcePorts {
  readonly chosen: readonly PortRange[];
  /** Ports within `chosen` that Linux leaves out. */
  readonly reserved: readonly PortRange[];
}

/** Whether the agent's part of a table of iptables is as the setup has it. */
export interface TableState {
  readonly family: IPFamily;
  readonly table: RuleTable["name"];
  readonly isDesired: boolean;
}

/** The result of writing the static rules: each change (`wrote table "nat" of IPv4`) and each failure. */
export interface RulesReport {
  readonly changed: readonly string[];
  readonly failures: readonly RuleFailure[];
  /** Each table of the setup; absent if it is not known. */
  readonly tables?: readonly TableState[];
  /** Absent if it is not known. */
  readonly backends?: BackendReport;
  /** Other service proxies that have changed the rules since the agent wrote them, or run here; absent if none. */
  readonly otherProxies?: readonly string[];
  /** Present if kube-proxy's iptables mode still serves, so some tables were not written. */
  readonly isDeferred?: boolean;
}

/** The iptables backend in use, and what was read last of the other one. */
export interface BackendReport {
  readonly used: IptablesBackend;
  /** Why this one: text for an operator. */
  readonly reason: string;
  /** The number of rules in the other backend, those of the agent not counted; a family that could not be read is absent. */
  readonly otherRules: ReadonlyMap<IPFamily, number>;
  /** Problems that only the operator can solve: text for an operator. */
  readonly warnings: readonly string[];
}

/** The rules of one family could not be read, or one of its tables could not be written. */
export interface RuleFailure {
  readonly family: IPFamily;
  /** What failed and why: text for an operator. */
  readonly message: string;
}

/** The state of the kernel as it was read, or a part of it: objects of the agent and of other programs alike. */
export interface Observed {
  readonly servers: ReadonlyMap<VirtualServerKey, ServerState>;
  /** The number of virtual servers that no key can name, because Kubernetes does not know their protocol. */
  readonly unnamedServers: number;
  /** The VIPs that are bound, on kube-ipvs0 (without IPv6 link-local addresses) or by a route of the agent. */
  readonly addresses: BoundVips;
  readonly entries: ReadonlyMap<SetEntryKey, SetEntry>;
}

export interface ConnectionCounts {
  readonly active: number;
  readonly inactive: number;
}

/** The result of deleting stale flows of one family, for the metrics. */
export interface ForgottenFlows {
  readonly family: IPFamily;
  readonly flows: number;
  readonly durationMs: number;
}

/**
 * The kernel of the node, as far as a service proxy needs it. Every method rejects with a KernelError only if the
 * kernel could not be reached or did not answer, and with any other error only on a bug; a refusal is an Outcome. A
 * read that fails rejects: it never returns a smaller answer.
 */
export interface Kernel {
  /**
   * Prepares the node except for its rules: sysctls, IPVS timeouts, kube-ipvs0, sets, members. Idempotent; writes
   * nothing that is already correct. A part that fails is a warning, and the other parts are still done: it rejects
   * only if the kernel has no IPVS.
   */
  prepare(setup: NodeSetup): Promise<SetupReport>;
  /**
   * Writes the static chains, which refer to sets, and the jumps into them, if they are not correct already. This may
   * take minutes if iptables waits for a lock; other methods may be called meanwhile. One call at a time. Rejects on
   * bugs only.
   */
  writeRules(setup: NodeSetup): Promise<RulesReport>;
  /** Reads everything, or only the named virtual servers (addresses and entries are then empty). */
  observe(scope: "all" | ReadonlySet<VirtualServerKey>): Promise<Observed>;
  /**
   * Reads everything, part by part. Each part is read when the caller requests it; no part takes long, and other work
   * runs between two parts. An object that exists during the whole read is returned. Virtual servers are the exception:
   * one that is deleted meanwhile can hide another, so a missing virtual server must be read again by name. If the read
   * fails after some parts, the next part rejects.
   */
  parts(): AsyncIterable<Observed>;
  /** Applies the operations in order and returns one outcome for each, in the same order. */
  apply(operations: readonly Operation[]): Promise<readonly Outcome[]>;
  /**
   * Returns the live connections of the real servers of the named virtual servers; a virtual server that does not exist
   * is left out.
   */
  connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>>;
  /** Returns the addresses of this node on every interface but kube-ipvs0, loopback and IPv6 link-local included. */
  nodeAddresses(): Promise<readonly IPAddress[]>;
  /**
   * Removes kube-ipvs0, the routes of VIPs, and the sets and the chains of the given families. The caller must delete the virtual servers
   * first.
   */
  remove(families: readonly IPFamily[]): Promise<SetupReport>;
  /** Ends the connection to the kernel. Requests in progress and later ones reject with a KernelError. */
  close(): Promise<void>;
}
