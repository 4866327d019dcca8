import type { IPAddress, IPFamily } from "../../model/address.ts";
import type { Problem } from "../../model/cluster/problem.ts";
import type { Service, ServiceName } from "../../model/cluster/service.ts";
import type { SetEntry, SetEntryKey } from "../../model/kernel/ipset.ts";
import type { VirtualServerKey } from "../../model/kernel/ipvs.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import type { ServerTraffic } from "../../model/kernel/traffic.ts";
import type { VipBinding } from "../../model/vip-binding.ts";
import type { NodeFacts } from "../../node/node-facts.ts";
import type { EndpointsByPort } from "../../services/endpoints.ts";

/** What is known of one Service, apart from the kernel. */
export interface ServiceView {
  readonly name: ServiceName;
  /** As this node serves it; undefined: there is none of this name, or this node does not proxy it. */
  readonly service: Service | undefined;
  readonly endpoints: EndpointsByPort;
  readonly facts: NodeFacts;
  /** The desired virtual server; undefined: no Service claims it. */
  readonly desired: (key: VirtualServerKey) => ServerState | undefined;
  /** The Service that owns the virtual server. */
  readonly owner: (key: VirtualServerKey) => ServiceName | undefined;
  /** The set members that the Service needs. */
  readonly entries: readonly SetEntry[];
  readonly problems: readonly Problem[];
  /** The operations for the Service that the kernel refuses, each with its cause. */
  readonly failures: readonly string[];
  readonly clients: ClientRules;
  /** When endpoints of the Service changed last, in ms since the epoch; 0 if unknown. */
  readonly endpointsChangedAtUnixMs: number;
  /** Of a running agent; undefined without one. */
  readonly agent?: AgentTimes;
}

/** The settings that decide which clients are masqueraded. */
export interface ClientRules {
  /** The iptables match for packets of pods; undefined: pods of the family cannot be recognised. */
  readonly pods: Readonly<Record<IPFamily, string | undefined>>;
  readonly masqueradeAll: boolean;
}

/** When a running agent worked last, in ms since the epoch; 0 if it did not yet. */
export interface AgentTimes {
  readonly lastSyncUnixMs: number;
  readonly lastResyncUnixMs: number;
  /** Whether changes of any Service wait for a sync. */
  readonly isPending: boolean;
}

/** The part of the kernel that concerns one Service. */
export interface KernelView {
  readonly servers: ReadonlyMap<VirtualServerKey, ServerTraffic>;
  /** How VIPs are bound. */
  readonly binding: VipBinding;
  /** Whether the address is bound, or an interface of the node has it. */
  readonly hasAddress: (address: IPAddress) => boolean;
  readonly hasEntry: (key: SetEntryKey) => boolean;
}
