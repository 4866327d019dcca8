import type { IPFamily } from "../../model/address.ts";
import type { SetBase } from "../../model/kernel/ipset.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import { comment, echoRequest, inSet, masqueradeMark, type RuleOptions, rejectPort } from "./match.ts";

/** Every set whose members are frontends of ours on VIPs. */
const VIP_SETS: readonly SetBase[] = [
  "KUBE-CLUSTER-IP",
  "KUBE-EXTERNAL-IP",
  "KUBE-EXTERNAL-IP-LOCAL",
  "KUBE-LOAD-BALANCER",
];

/** Who is served. What arrives meets INPUT before IPVS takes it; FORWARD sees the answers alone. */
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
  // Netfilter forgets a masqueraded connection that leaves by another interface. Its endpoint would then reset it, once the
  // address is bound again: the client would seem to come from another port.
  const ofClient = "-m conntrack --ctstate NEW,SNAT --ctdir ORIGINAL";
  return [
    // Netfilter does not rewrite what belongs to no connection: the answer of an endpoint would arrive as somebody else's, and be
    // answered with a reset. What else is forwarded is none of our business: on asymmetric routes conntrack sees one direction
    // alone, and calls all packets of a connection invalid.
    ...(options.dropInvalid ? [`-m conntrack --ctstate INVALID ${fromEndpoint} -j DROP`] : []),
    // Frontends are addresses of this node: what is forwarded came before the address was bound, or between two interfaces that
    // have it in turn. TCP sends it again.
    ...VIP_SETS.map((base) => `${ofClient} ${inSet(base, "dst,dst", options.family)} -j DROP`),
    // For nodes whose FORWARD chain drops by policy: what we masquerade passes, and so do the replies.
    `${comment("kubernetes forwarding rules")} -m mark --mark ${masqueradeMark(options)} -j ACCEPT`,
    `${comment("kubernetes forwarding conntrack rule")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    unallocatedRule(options.family),
  ];
}

/**
 * A ClusterIP that no Service has is no address of this node, and would travel along the default route for nothing. Dropped and
 * not refused, as in kube-proxy's nftables mode: its Service may exist and be unknown here still, and TCP tries again after a second.
 */
function unallocatedRule(family: IPFamily): string {
  const isNew = "-m conntrack --ctstate NEW";
  return `${isNew} ${inSet("KUBE-SERVICE-CIDR", "dst", family)} -m addrtype ! --dst-type LOCAL -j DROP`;
}

/**
 * Source ranges hold for every packet, so that narrower ones end connections too. The drops of traffic policies are for new
 * connections: one whose endpoint is about to leave may end in peace. UDP has no such end, and its next packet would be
 * given to an endpoint of another node.
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

/** VIPs are addresses of this node: without this a client could reach any daemon of the node through them. */
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
 * Only a packet that conntrack finds valid is masqueraded, or led back. IPVS knows its connections by itself and would send an
 * invalid one on from a client whom the endpoint knows by the node's address: it resets that stranger's connection, and IPVS
 * leads the reset to the client as if it came from the Service. Behind IPVS it is too late, for conntrack takes the packet as
 * it is then for the first of a new connection. An endpoint's invalid answer to the node's address would be reset by the node.
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
 * For hosts whose INPUT chain drops by policy. The jump stands last, so that the host's own rules judge before: what they
 * drop stays dropped, and a network policy that works in INPUT is not passed by.
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
