import type { IPFamily } from "../../model/address.ts";
import type { SetBase } from "../../model/kernel/ipset.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import { comment, echoRequest, inSet, masqueradeMark, type RuleOptions, rejectPort } from "./match.ts";

/** The sets that contain frontends on VIPs. */
const VIP_SETS: readonly SetBase[] = [
  "KUBE-CLUSTER-IP",
  "KUBE-EXTERNAL-IP",
  "KUBE-EXTERNAL-IP-LOCAL",
  "KUBE-LOAD-BALANCER",
];

/**
 * Builds the filter table. INPUT sees requests before IPVS does; FORWARD sees replies, and requests that IPVS did not
 * take.
 */
export function filterTable(options: RuleOptions): RuleTable {
  const { family } = options;
  return {
    name: "filter",
    chains: [
      { name: "KUBE-FORWARD", rules: forwardRules(options) },
      { name: "KUBE-NODE-PORT", rules: [`-p tcp ${inSet("KUBE-HEALTH-CHECK-NODE-PORT", "dst", family)} -j ACCEPT`] },
      { name: "KUBE-PROXY-FIREWALL", rules: firewallRules(options) },
      { name: "KUBE-SOURCE-RANGES-FIREWALL", rules: sourceRangeRules(family) },
      { name: "KUBE-IPVS-FILTER", rules: ipvsFilterRules(options) },
      { name: "KUBE-IPVS-INVALID", rules: invalidRules(options) },
      { name: "KUBE-IPVS-OUT-FILTER", rules: [unallocatedRule(family)] },
      { name: "KUBE-IPVS-ACCEPT", rules: acceptRules(family) },
    ],
    jumps: [
      { from: "FORWARD", rule: `${comment("kubernetes forwarding rules")} -j KUBE-FORWARD` },
      { from: "INPUT", rule: `${comment("kubernetes health check rules")} -j KUBE-NODE-PORT` },
      { from: "INPUT", rule: `${comment("kube-proxy firewall rules")} -j KUBE-PROXY-FIREWALL` },
      { from: "FORWARD", rule: `${comment("kube-proxy firewall rules")} -j KUBE-PROXY-FIREWALL` },
      { from: "INPUT", rule: `${comment("kubernetes ipvs access filter")} -j KUBE-IPVS-FILTER` },
      { from: "OUTPUT", rule: `${comment("kubernetes ipvs access filter")} -j KUBE-IPVS-OUT-FILTER` },
      { from: "INPUT", rule: `${comment("kubernetes ipvs traffic")} -j KUBE-IPVS-ACCEPT`, place: "last" },
    ],
  };
}

function forwardRules(options: RuleOptions): readonly string[] {
  const fromEndpoint = inSet("KUBE-LOOP-BACK", "src,src,src", options.family);
  // Netfilter drops a masqueraded connection from conntrack when it leaves by another interface. If the address is
  // bound again later, the endpoint sees another client port and resets the connection.
  const ofClient = "-m conntrack --ctstate NEW,SNAT --ctdir ORIGINAL";
  return [
    // Netfilter does not rewrite packets that belong to no connection: the client would receive the reply of an
    // endpoint from a wrong address and reset the connection. Only packets of endpoints are dropped. On asymmetric
    // routes conntrack sees one direction of other connections and classifies all their packets as invalid.
    ...(options.dropInvalid ? [`-m conntrack --ctstate INVALID ${fromEndpoint} -j DROP`] : []),
    // Frontends are addresses of this node. A forwarded packet for one came before the address was bound, or while the
    // address was moved between two interfaces. TCP sends it again.
    ...VIP_SETS.map((base) => `${ofClient} ${inSet(base, "dst,dst", options.family)} -j DROP`),
    // For nodes whose FORWARD chain drops by policy: masqueraded packets and replies are accepted.
    `${comment("kubernetes forwarding rules")} -m mark --mark ${masqueradeMark(options)} -j ACCEPT`,
    `${comment("kubernetes forwarding conntrack rule")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    unallocatedRule(options.family),
  ];
}

/**
 * Returns the rule for ClusterIPs without a Service. Such an address is not local, and its packets would follow the
 * default route. They are dropped and not rejected, as in kube-proxy's nftables mode: the Service may exist and be
 * unknown here, and TCP retries after a second.
 */
function unallocatedRule(family: IPFamily): string {
  const isNew = "-m conntrack --ctstate NEW";
  return `${isNew} ${inSet("KUBE-SERVICE-CIDR", "dst", family)} -m addrtype ! --dst-type LOCAL -j DROP`;
}

/**
 * Source ranges apply to every packet, so narrower ranges also end existing connections. The drops of traffic policies
 * apply only to new TCP connections: an existing connection may continue while its endpoint terminates. UDP has no
 * connections, and its next packet would be scheduled to an endpoint on another node.
 */
function firewallRules({ family, pods }: RuleOptions): readonly string[] {
  return [
    `${inSet("KUBE-LOAD-BALANCER-FW", "dst,dst", family)} -j KUBE-SOURCE-RANGES-FIREWALL`,
    "-p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
    `${inSet("KUBE-DROP", "dst,dst", family)} -j DROP`,
    ...(pods === undefined ? [] : [`${pods} -j RETURN`]),
    `${inSet("KUBE-DROP-EXTERNAL", "dst,dst", family)} -j DROP`,
  ];
}

function sourceRangeRules(family: IPFamily): readonly string[] {
  return [
    `${inSet("KUBE-LOAD-BALANCER-SOURCE-CIDR", "dst,dst,src", family)} -j RETURN`,
    `${inSet("KUBE-LOAD-BALANCER-SOURCE-IP", "dst,dst,src", family)} -j RETURN`,
    "-j DROP",
  ];
}

const INVALID_TCP = "-p tcp -m conntrack --ctstate INVALID";

/**
 * Rejects everything on VIPs except frontends, health checks and pings: VIPs are addresses of this node, and clients
 * could otherwise reach any daemon of the node through them.
 */
function ipvsFilterRules({ family, dropInvalid }: RuleOptions): readonly string[] {
  return [
    ...(dropInvalid ? [`${INVALID_TCP} -j KUBE-IPVS-INVALID`] : []),
    ...VIP_SETS.map((base) => `${inSet(base, "dst,dst", family)} -j RETURN`),
    `-p tcp ${inSet("KUBE-HEALTH-CHECK-NODE-PORT", "dst", family)} -j RETURN`,
    `${echoRequest(family)} -j RETURN`,
    `-m conntrack --ctstate NEW ${inSet("KUBE-IPVS-IPS", "dst", family)} ${rejectPort(family)}`,
  ];
}

/**
 * Drops packets that conntrack classifies as invalid, because netfilter does not translate their addresses. IPVS has
 * its own connection table and would forward such a packet with the client's address. The endpoint knows the connection
 * by the node's address, sends a reset, and IPVS passes it to the client as a packet of the Service. After IPVS it is
 * too late: conntrack treats the rewritten packet as the first of a new connection. The node would also reset an
 * endpoint's invalid reply to the node's address.
 */
function invalidRules({ family, dropInvalid }: RuleOptions): readonly string[] {
  if (!dropInvalid) return [];
  return [
    ...VIP_SETS.map((base) => `${inSet(base, "dst,dst", family)} -j DROP`),
    `-p tcp ${inSet("KUBE-NODE-PORT-IPS", "dst", family)} ${inSet("KUBE-NODE-PORT-TCP", "dst", family)} -j DROP`,
    `${inSet("KUBE-LOOP-BACK", "src,src,src", family)} -j DROP`,
  ];
}

/**
 * Accepts traffic of Services on hosts whose INPUT chain drops by policy. The jump is the last rule: the host's own
 * drops and network policies in INPUT take precedence.
 */
function acceptRules(family: IPFamily): readonly string[] {
  const nodePort = (protocol: string, base: SetBase) =>
    `-p ${protocol} ${inSet("KUBE-NODE-PORT-IPS", "dst", family)} ${inSet(base, "dst", family)} -j ACCEPT`;
  return [
    ...VIP_SETS.map((base) => `${inSet(base, "dst,dst", family)} -j ACCEPT`),
    nodePort("tcp", "KUBE-NODE-PORT-TCP"),
    nodePort("udp", "KUBE-NODE-PORT-UDP"),
    `${inSet("KUBE-NODE-PORT-SCTP-HASH", "dst,dst", family)} -j ACCEPT`,
    `${echoRequest(family)} ${inSet("KUBE-IPVS-IPS", "dst", family)} -j ACCEPT`,
  ];
}
