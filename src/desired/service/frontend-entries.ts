import { type Cidr, cidrContains, FAMILIES, familyOf, type IPFamily } from "../../model/address.ts";
import type { Protocol, TrafficPolicy } from "../../model/cluster/service.ts";
import {
  addressPortAddressEntry,
  addressPortEntry,
  addressPortNetworkEntry,
  ipset,
  markEntry,
  portEntry,
  type SetBase,
  type SetEntry,
} from "../../model/kernel/ipset.ts";
import { STEP, type Steps } from "../../model/steps.ts";
import type { NodeFacts } from "../../node/node-facts.ts";
import type { SelectedEndpoints } from "./endpoint-selector.ts";
import type { Frontend } from "./frontends.ts";

/** The properties of a frontend that iptables rules depend on. */
export interface FrontendRecord {
  readonly frontend: Frontend;
  readonly external: TrafficPolicy;
  /** The members for its source ranges; empty if the frontend is not restricted. */
  readonly ranges: readonly SetEntry[];
  readonly drops: SelectedEndpoints["drops"];
  /** The mark for clients on this node, if the external policy is Local and the port has a mark. */
  readonly mark: number | undefined;
}

/** Returns the set members with which the rules match the frontend. */
export function frontendEntries(record: FrontendRecord, facts: NodeFacts): readonly SetEntry[] {
  const { frontend, external, ranges, drops, mark } = record;
  const { address, protocol, port } = frontend;
  const entries = kindSets(frontend, external).map((base) => member(base, frontend));
  entries.push(...ranges);
  if (drops !== undefined) entries.push(member(drops, frontend));
  if (mark !== undefined) {
    const set = ipset("KUBE-LOCAL-MARK", familyOf(address));
    entries.push(markEntry(set, address, protocol, port, mark, facts.localMarkMask));
  }
  // The list is stored for long, and a list that was appended to has spare capacity.
  return entries.slice();
}

const NODE_PORT_SETS: Readonly<Record<Protocol, { readonly all: SetBase; readonly local: SetBase }>> = {
  TCP: { all: "KUBE-NODE-PORT-TCP", local: "KUBE-NODE-PORT-LOCAL-TCP" },
  UDP: { all: "KUBE-NODE-PORT-UDP", local: "KUBE-NODE-PORT-LOCAL-UDP" },
  SCTP: { all: "KUBE-NODE-PORT-SCTP-HASH", local: "KUBE-NODE-PORT-LOCAL-SCTP-HASH" },
};

function kindSets({ kind, protocol }: Frontend, external: TrafficPolicy): readonly SetBase[] {
  const isLocal = external === "Local";
  switch (kind) {
    case "cluster-ip":
      return ["KUBE-CLUSTER-IP"];
    case "external-ip":
      return [isLocal ? "KUBE-EXTERNAL-IP-LOCAL" : "KUBE-EXTERNAL-IP"];
    case "load-balancer":
      return isLocal ? ["KUBE-LOAD-BALANCER", "KUBE-LOAD-BALANCER-LOCAL"] : ["KUBE-LOAD-BALANCER"];
    case "node-port": {
      const { all, local } = NODE_PORT_SETS[protocol];
      return isLocal ? [all, local] : [all];
    }
  }
}

/** Returns the frontend as a member of the set. The sets of TCP and UDP NodePorts contain no addresses. */
function member(base: SetBase, { address, protocol, port }: Frontend): SetEntry {
  const set = ipset(base, familyOf(address));
  return set.type === "bitmap:port" ? portEntry(set, port) : addressPortEntry(set, address, protocol, port);
}

/** The clients that a restriction admits, by family; a family without an element is not restricted. */
export type Admitted = Readonly<Partial<Record<IPFamily, Admission>>>;

/** The clients of one family that a restriction admits. */
export interface Admission {
  readonly ranges: readonly Cidr[];
  readonly isNodeIn: boolean;
}

/**
 * The clients that may use the address of a load balancer, if source ranges are set: those in a range of the family. If
 * all ranges are of the other family, no client is admitted. A range of all addresses is no restriction. The node
 * itself connects with the load balancer's address as source, and is admitted if any of its own addresses is.
 */
export function admittedBy(asked: readonly Cidr[] | undefined, { ownAddresses }: NodeFacts): Admitted | undefined {
  if (asked === undefined) return undefined;
  const admitted: Partial<Record<IPFamily, Admission>> = {};
  for (const family of FAMILIES) {
    const ranges = asked.filter((range) => range.family === family);
    if (ranges.some(({ prefix }) => prefix === 0)) continue;
    const isNodeIn = ranges.some((range) => ownAddresses.some((own) => cidrContains(range, own)));
    admitted[family] = { ranges, isNodeIn };
  }
  return admitted;
}

/** Returns the members that restrict a frontend to these clients, in steps: there may be 10,000 ranges. */
export function* sourceRangeEntries(
  { address, protocol, port }: Frontend,
  { ranges, isNodeIn }: Admission,
): Steps<readonly SetEntry[]> {
  const family = familyOf(address);
  const nodeSet = ipset("KUBE-LOAD-BALANCER-SOURCE-IP", family);
  const rangeSet = ipset("KUBE-LOAD-BALANCER-SOURCE-CIDR", family);
  const entries = [addressPortEntry(ipset("KUBE-LOAD-BALANCER-FW", family), address, protocol, port)];
  for (const [index, range] of ranges.entries()) {
    entries.push(addressPortNetworkEntry(rangeSet, address, protocol, port, range));
    if (index % STEP === STEP - 1) yield STEP;
  }
  if (isNodeIn) entries.push(addressPortAddressEntry(nodeSet, address, protocol, port, address));
  return entries;
}
