import { ipset } from "../../model/kernel/ipset.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import { markedLocal, unmarkedLocal } from "./local-mark.ts";
import { comment, inSet, masked, masqueradeMark, notInSet, type RuleOptions } from "./match.ts";

/**
 * Builds the mangle table, which processes packets of clients on this node before IPVS does. IPVS handles packets of
 * local processes between the tables nat and filter of OUTPUT. The filter table sees rewritten packets, so the drops
 * are in this table.
 */
export function mangleTable(options: RuleOptions): RuleTable {
  return {
    name: "mangle",
    chains: [
      { name: "KUBE-LOCAL-PODS", rules: options.pods === undefined ? [] : [`${options.pods} ${setMark(options)}`] },
      { name: "KUBE-LOCAL-NODE", rules: nodeRules(options) },
      { name: "KUBE-LOCAL-UNMARK", rules: unmarkRules(options) },
    ],
    jumps: [
      // Not in PREROUTING: only in INPUT are all packets for this host, and routing does not depend on our mark.
      { from: "INPUT", rule: `${comment("kubernetes local traffic of pods")} -j KUBE-LOCAL-PODS` },
      { from: "OUTPUT", rule: `${comment("kubernetes local traffic of this node")} -j KUBE-LOCAL-NODE` },
      { from: "POSTROUTING", rule: `${comment("kubernetes local traffic has been routed")} -j KUBE-LOCAL-UNMARK` },
    ],
  };
}

/**
 * Returns the target that gives the packet the mark of its destination in the set. It does not change a packet whose
 * destination is not in the set, or one with bits of other programs: these bits would be lost, and IPVS would not match
 * the mark with them.
 */
function setMark(options: RuleOptions): string {
  const { family } = options;
  return `-m mark --mark ${unmarkedLocal(options)} -j SET --map-set ${ipset("KUBE-LOCAL-MARK", family).name} dst,dst --map-mark`;
}

function nodeRules(options: RuleOptions): readonly string[] {
  const { family } = options;
  return [
    "-p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
    [
      inSet("KUBE-LOAD-BALANCER-FW", "dst,dst", family),
      notInSet("KUBE-LOAD-BALANCER-SOURCE-CIDR", "dst,dst,src", family),
      notInSet("KUBE-LOAD-BALANCER-SOURCE-IP", "dst,dst,src", family),
      "-j DROP",
    ].join(" "),
    `${inSet("KUBE-DROP", "dst,dst", family)} -j DROP`,
    setMark(options),
  ];
}

/**
 * Removes the mark after IPVS has used it, so that other programs find their own bits. Packets of the node itself get
 * the masquerade mark. This must happen with the first packet of a flow, before conntrack confirms it. A later packet
 * is still NEW until there is a reply, and its masquerade mark would not be cleared.
 */
function unmarkRules(options: RuleOptions): readonly string[] {
  return [
    `-m mark ! --mark ${markedLocal(options)} -j RETURN`,
    `-m conntrack ! --ctstatus CONFIRMED -m addrtype --src-type LOCAL -j MARK --set-xmark ${masqueradeMark(options)}`,
    `-j MARK --set-xmark ${masked(0, options.localMarkMask)}`,
  ];
}
