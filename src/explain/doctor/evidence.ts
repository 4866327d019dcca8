import type { SourcePorts } from "../../kernel/kernel.ts";
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
  readonly sysctls: readonly (Sysctl & { readonly found: string | undefined })[];
  /** The texts of `iptables-save -c`, of each backend that has rules. */
  readonly saved: Readonly<Partial<Record<IPFamily, readonly string[]>>>;
  readonly rules: Readonly<Partial<Record<IPFamily, Rules>>>;
  readonly scheduler: Scheduler;
  /** The schedulers that are neither loaded nor found as a module. */
  readonly missingSchedulers: readonly Scheduler[];
  readonly conntrack?: ConntrackFill;
  readonly sourcePorts?: SourcePorts;
  readonly nodePorts: readonly number[];
  /** The names of running processes, as in /proc/PID/comm; each once. */
  readonly processes: readonly string[];
  /** The names of network interfaces. */
  readonly interfaces: readonly string[];
  /** Tables of nftables of the kube-proxy mode nftables, and chains of its iptables mode. */
  readonly proxyLeftovers: readonly string[];
  readonly strictArp: boolean;
  readonly lo?: { readonly mtu: number };
  /** Of the source of Services; "" if it was read. */
  readonly sourceFailure: string;
  readonly servers: readonly ServerEvidence[];
}

export interface ConntrackFill {
  readonly count: number;
  readonly max: number;
  /** Packets that were dropped because the table was full, since the start of the node. */
  readonly dropped: number;
}

/** An API server, as seen from this node. */
export interface ServerEvidence {
  readonly url: string;
  /** Why it does not answer; "" if it does. */
  readonly failure: string;
  /** This clock minus the clock of the server, in ms; undefined if unknown. */
  readonly clockAheadMs: number | undefined;
  /** How long its certificate is still valid, in ms; undefined if unknown. */
  readonly certificateLeftMs: number | undefined;
}
