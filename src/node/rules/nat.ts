import type { IPFamily } from "../../model/address.ts";
import type { SetBase } from "../../model/kernel/ipset.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import { markedLocal } from "./local-mark.ts";
import { comment, inSet, masqueradeMark, type RuleOptions } from "./match.ts";

/**
 * Builds the nat table, which decides what is masqueraded. It sees only the first packet of a connection; conntrack
 * handles the rest.
 */
export function natTable(options: RuleOptions): RuleTable {
  const mark = masqueradeMark(options);
  return {
    name: "nat",
    chains: [
      { name: "KUBE-SERVICES", rules: servicesRules(options) },
      { name: "KUBE-LOAD-BALANCER", rules: loadBalancerRules(options) },
      { name: "KUBE-NODE-PORT", rules: nodePortRules(options.family) },
      { name: "KUBE-LOCAL-POLICY", rules: localPolicyRules(options) },
      { name: "KUBE-POSTROUTING", rules: postroutingRules(options) },
      // Other programs jump to this chain too, so it must only set the bit.
      { name: "KUBE-MARK-MASQ", rules: [`-j MARK --set-xmark ${mark}`] },
    ],
    jumps: [
      { from: "OUTPUT", rule: `${comment("kubernetes service portals")} -j KUBE-SERVICES` },
      { from: "PREROUTING", rule: `${comment("kubernetes service portals")} -j KUBE-SERVICES` },
      { from: "POSTROUTING", rule: `${comment("kubernetes postrouting rules")} -j KUBE-POSTROUTING` },
    ],
  };
}

function servicesRules(options: RuleOptions): readonly string[] {
  const { family } = options;
  const to = (base: SetBase) => inSet(base, "dst,dst", family);
  return [
    // The reply to a rewritten loopback source would be dropped as martian.
    `-s ${family === "IPv4" ? "127.0.0.0/8" : "::1/128"} -j RETURN`,
    `${to("KUBE-LOAD-BALANCER")} -j KUBE-LOAD-BALANCER`,
    clusterIPRule(options),
    `${to("KUBE-EXTERNAL-IP")} -j KUBE-MARK-MASQ`,
    `${to("KUBE-EXTERNAL-IP-LOCAL")} -j KUBE-LOCAL-POLICY`,
    // The match includes the address: a VIP is local too, and one of its ports may equal the number of a NodePort.
    `${inSet("KUBE-NODE-PORT-IPS", "dst", family)} -j KUBE-NODE-PORT`,
    // Prevents later nat rules of other programs for VIP traffic. The filter table still sees the packets.
    `${to("KUBE-CLUSTER-IP")} -j ACCEPT`,
    `${to("KUBE-EXTERNAL-IP")} -j ACCEPT`,
    `${to("KUBE-EXTERNAL-IP-LOCAL")} -j ACCEPT`,
    `${to("KUBE-LOAD-BALANCER")} -j ACCEPT`,
  ];
}

/** Returns the rule that masquerades traffic to ClusterIPs. */
function clusterIPRule({ family, masqueradeAll, pods, vipBinding }: RuleOptions): string {
  const about = comment("Kubernetes service cluster ip + port for masquerade purpose");
  const to = (direction: string) => `${inSet("KUBE-CLUSTER-IP", direction, family)} -j KUBE-MARK-MASQ`;
  if (masqueradeAll) return `${about} ${to("dst,dst")}`;
  // Clients that are not pods may be unable to receive replies from a pod's address.
  if (pods !== undefined) return `! ${pods} ${about} ${to("dst,dst")}`;
  // If packets of pods cannot be recognised, only connections of this node are masqueraded: their source is the VIP
  // itself. For IPv6 Linux takes a source from the addresses of interfaces, and a VIP that is bound by a route is none.
  if (family === "IPv6" && vipBinding === "route") return `-m addrtype --src-type LOCAL ${about} ${to("dst,dst")}`;
  return `${about} ${to("src,dst")}`;
}

function loadBalancerRules({ family }: RuleOptions): readonly string[] {
  return [`${inSet("KUBE-LOAD-BALANCER-LOCAL", "dst,dst", family)} -g KUBE-LOCAL-POLICY`, "-j KUBE-MARK-MASQ"];
}

function nodePortRules(family: IPFamily): readonly string[] {
  const rules = (protocol: string, direction: string, local: SetBase, all: SetBase) => [
    `-p ${protocol} ${inSet(local, direction, family)} -g KUBE-LOCAL-POLICY`,
    `-p ${protocol} ${inSet(all, direction, family)} -j KUBE-MARK-MASQ`,
  ];
  return [
    ...rules("tcp", "dst", "KUBE-NODE-PORT-LOCAL-TCP", "KUBE-NODE-PORT-TCP"),
    ...rules("udp", "dst", "KUBE-NODE-PORT-LOCAL-UDP", "KUBE-NODE-PORT-UDP"),
    ...rules("sctp", "dst,dst", "KUBE-NODE-PORT-LOCAL-SCTP-HASH", "KUBE-NODE-PORT-SCTP-HASH"),
  ];
}

/**
 * Under the external policy Local clients keep their source address, except this node itself: its source is the VIP,
 * which is local on every node, so a pod on another node would reply to its own node. A packet with a mark of local
 * traffic is handled in mangle POSTROUTING, because IPVS compares the whole mark.
 */
function localPolicyRules(options: RuleOptions): readonly string[] {
  return [`-m mark ! --mark ${markedLocal(options)} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`];
}

function postroutingRules(options: RuleOptions): readonly string[] {
  const mark = masqueradeMark(options);
  const [bit] = mark.split("/");
  const hairpin = comment("Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose");
  const masquerade = comment("kubernetes service traffic requiring SNAT");
  return [
    // A pod that connects to itself through a VIP would see its own address as source, and its reply would bypass IPVS.
    `${hairpin} ${inSet("KUBE-LOOP-BACK", "dst,dst,src", options.family)} -j MASQUERADE`,
    `-m mark ! --mark ${mark} -j RETURN`,
    // The mark is cleared so that a packet that enters the stack again, for example through a tunnel, is not
    // masqueraded twice.
    `-j MARK --set-xmark ${bit}/0x0`,
    `${masquerade} -j MASQUERADE${options.randomFully ? " --random-fully" : ""}`,
  ];
}
