import type { IPFamily } from "../../model/address.ts";
import type { SetBase } from "../../model/kernel/ipset.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import { markedLocal } from "./local-mark.ts";
import { comment, inSet, masqueradeMark, type RuleOptions } from "./match.ts";

/** Who is masqueraded. The table sees the first packet of a connection alone; the rest follows conntrack. */
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
      // Third parties jump here too, so it only ever sets the bit.
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
    // A rewritten loopback source would be martian on the way back.
    `-s ${family === "IPv4" ? "127.0.0.0/8" : "::1/128"} -j RETURN`,
    `${to("KUBE-LOAD-BALANCER")} -j KUBE-LOAD-BALANCER`,
    clusterIPRule(options),
    `${to("KUBE-EXTERNAL-IP")} -j KUBE-MARK-MASQ`,
    `${to("KUBE-EXTERNAL-IP-LOCAL")} -j KUBE-LOCAL-POLICY`,
    // Asked for by address: a VIP is local too, and one of its ports may happen to be the number of a NodePort.
    `${inSet("KUBE-NODE-PORT-IPS", "dst", family)} -j KUBE-NODE-PORT`,
    // Keeps later nat rules of others off VIP traffic; the filter table still sees it.
    `${to("KUBE-CLUSTER-IP")} -j ACCEPT`,
    `${to("KUBE-EXTERNAL-IP")} -j ACCEPT`,
    `${to("KUBE-EXTERNAL-IP-LOCAL")} -j ACCEPT`,
    `${to("KUBE-LOAD-BALANCER")} -j ACCEPT`,
  ];
}

/** Who is masqueraded on the way to a ClusterIP. */
function clusterIPRule({ family, masqueradeAll, pods }: RuleOptions): string {
  const about = comment("Kubernetes service cluster ip + port for masquerade purpose");
  const to = (direction: string) => `${inSet("KUBE-CLUSTER-IP", direction, family)} -j KUBE-MARK-MASQ`;
  if (masqueradeAll) return `${about} ${to("dst,dst")}`;
  // Whoever is not a pod may be unable to take the reply from a pod's address.
  if (pods !== undefined) return `! ${pods} ${about} ${to("dst,dst")}`;
  // Without a way to tell pods, only this node's own requests: they leave with the VIP itself as source.
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
 * Under the external policy Local clients keep their address, but for the node itself: its source is the VIP, which is
 * local on every node, so that a pod elsewhere would answer its own. What has a mark of local traffic waits for the
 * table mangle of POSTROUTING, since IPVS compares the mark as a whole.
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
    // A pod that reaches itself through a VIP would see its own address as source and answer past IPVS.
    `${hairpin} ${inSet("KUBE-LOOP-BACK", "dst,dst,src", options.family)} -j MASQUERADE`,
    `-m mark ! --mark ${mark} -j RETURN`,
    // Cleared, so that a packet which enters the stack again (through a tunnel) is not masqueraded twice.
    `-j MARK --set-xmark ${bit}/0x0`,
    `${masquerade} -j MASQUERADE${options.randomFully ? " --random-fully" : ""}`,
  ];
}
