import type { Rules, RuleTable } from "../kernel/kernel.ts";
import type { Cidr, IPFamily } from "../model/address.ts";
import { ipset, type SetBase } from "../model/ipset.ts";

export interface MasqueradeOptions {
  readonly family: IPFamily;
  /** 0-31: the bit of the packet mark that asks for masquerading. */
  readonly masqueradeBit: number;
  /** Masquerade everything that goes to a ClusterIP. */
  readonly masqueradeAll: boolean;
  /** Where pods live; the first of our family tells pods from others, none of our family means that nothing does. */
  readonly clusterCIDRs: readonly Cidr[];
  /** Whether iptables knows `MASQUERADE --random-fully` (1.6.2). */
  readonly randomFully: boolean;
}

/**
 * The chains beside IPVS, which picks a backend but leaves the source address alone: what must be masqueraded is marked
 * before it and rewritten after it. All rules are static: they ask sets, so that a Service changes members and no rule.
 * Names, comments and order are kube-proxy's. Rules read exactly as iptables-save prints them.
 */
export function masqueradeRules(options: MasqueradeOptions): Rules {
  return { tables: [natTable(options), filterTable(options)] };
}

function natTable(options: MasqueradeOptions): RuleTable {
  const mark = markOf(options);
  return {
    name: "nat",
    chains: [
      { name: "KUBE-SERVICES", rules: servicesRules(options) },
      { name: "KUBE-POSTROUTING", rules: postroutingRules(options) },
      { name: "KUBE-NODE-PORT", rules: nodePortRules(options.family) },
      // Third parties jump here too, so it only ever sets the bit.
      { name: "KUBE-MARK-MASQ", rules: [`-j MARK --set-xmark ${mark}/${mark}`] },
    ],
    jumps: [
      { from: "OUTPUT", rule: `${comment("kubernetes service portals")} -j KUBE-SERVICES` },
      { from: "PREROUTING", rule: `${comment("kubernetes service portals")} -j KUBE-SERVICES` },
      { from: "POSTROUTING", rule: `${comment("kubernetes postrouting rules")} -j KUBE-POSTROUTING` },
    ],
  };
}

function filterTable(options: MasqueradeOptions): RuleTable {
  return {
    name: "filter",
    chains: [
      { name: "KUBE-FORWARD", rules: forwardRules(options) },
      { name: "KUBE-IPVS-FILTER", rules: ipvsFilterRules(options.family) },
    ],
    jumps: [
      { from: "FORWARD", rule: `${comment("kubernetes forwarding rules")} -j KUBE-FORWARD` },
      { from: "INPUT", rule: `${comment("kubernetes ipvs access filter")} -j KUBE-IPVS-FILTER` },
    ],
  };
}

function servicesRules(options: MasqueradeOptions): readonly string[] {
  return [
    // A rewritten loopback source would be martian on the way back.
    `-s ${options.family === "IPv4" ? "127.0.0.0/8" : "::1/128"} -j RETURN`,
    clusterIPRule(options),
    // A node port is asked for at an address of this node. It comes before the ACCEPT because VIPs are local as well.
    "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
    // Keeps later nat rules of others off VIP traffic; the filter table still sees it.
    `${matchSet("KUBE-CLUSTER-IP", "dst,dst", options.family)} -j ACCEPT`,
  ];
}

/** Who is masqueraded on the way to a ClusterIP. */
function clusterIPRule(options: MasqueradeOptions): string {
  const about = comment("Kubernetes service cluster ip + port for masquerade purpose");
  const to = (direction: string) => `${matchSet("KUBE-CLUSTER-IP", direction, options.family)} -j KUBE-MARK-MASQ`;
  if (options.masqueradeAll) return `${about} ${to("dst,dst")}`;
  const pods = options.clusterCIDRs.find(({ family }) => family === options.family);
  // Whoever is not a pod may be unable to take the reply from a pod's address.
  if (pods !== undefined) return `! -s ${pods.text} ${about} ${to("dst,dst")}`;
  // Without a way to tell pods, only this node's own requests: they leave with the VIP itself as source.
  return `${about} ${to("src,dst")}`;
}

function nodePortRules(family: IPFamily): readonly string[] {
  const rule = (protocol: string, base: SetBase, direction: string, about: string) =>
    `-p ${protocol} ${comment(about)} ${matchSet(base, direction, family)} -j KUBE-MARK-MASQ`;
  return [
    rule("tcp", "KUBE-NODE-PORT-TCP", "dst", "Kubernetes nodeport TCP port for masquerade purpose"),
    rule("udp", "KUBE-NODE-PORT-UDP", "dst", "Kubernetes nodeport UDP port for masquerade purpose"),
    rule(
      "sctp",
      "KUBE-NODE-PORT-SCTP-HASH",
      "dst,dst",
      "Kubernetes nodeport SCTP port for masquerade purpose with type \\'hash ip:port\\'",
    ),
  ];
}

function postroutingRules(options: MasqueradeOptions): readonly string[] {
  const mark = markOf(options);
  const hairpin = comment("Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose");
  const masquerade = comment("kubernetes service traffic requiring SNAT");
  return [
    // A pod that reaches itself through a VIP would see its own address as source and answer past IPVS.
    `${hairpin} ${matchSet("KUBE-LOOP-BACK", "dst,dst,src", options.family)} -j MASQUERADE`,
    `-m mark ! --mark ${mark}/${mark} -j RETURN`,
    // Cleared, so that a packet which enters the stack again (through a tunnel) is not masqueraded twice.
    `-j MARK --set-xmark ${mark}/0x0`,
    `${masquerade} -j MASQUERADE${options.randomFully ? " --random-fully" : ""}`,
  ];
}

function forwardRules(options: MasqueradeOptions): readonly string[] {
  const mark = markOf(options);
  // For nodes whose FORWARD chain drops by policy: what we masquerade passes, and so do the replies.
  return [
    `${comment("kubernetes forwarding rules")} -m mark --mark ${mark}/${mark} -j ACCEPT`,
    `${comment("kubernetes forwarding conntrack rule")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  ];
}

/** VIPs are addresses of this node: without this a client could reach any daemon of the node through them. */
function ipvsFilterRules(family: IPFamily): readonly string[] {
  const reject = family === "IPv4" ? "icmp-port-unreachable" : "icmp6-port-unreachable";
  const vip = matchSet("KUBE-IPVS-IPS", "dst", family);
  return [
    `${matchSet("KUBE-CLUSTER-IP", "dst,dst", family)} -j RETURN`,
    `-m conntrack --ctstate NEW ${vip} -j REJECT --reject-with ${reject}`,
  ];
}

function markOf(options: MasqueradeOptions): string {
  return `0x${(2 ** options.masqueradeBit).toString(16)}`;
}

function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

function matchSet(base: SetBase, direction: string, family: IPFamily): string {
  return `-m set --match-set ${ipset(base, family).name} ${direction}`;
}

/**
 * Every chain of a kube-proxy in ipvs mode, ours among them: what is to go when we go, or when a node taken over is
 * cleaned. The jumps that lead into them go with them.
 */
export const PROXY_CHAINS: Readonly<Record<"nat" | "filter", readonly string[]>> = {
  nat: ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"],
  filter: [
    "KUBE-FORWARD",
    "KUBE-NODE-PORT",
    "KUBE-PROXY-FIREWALL",
    "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
  ],
};
