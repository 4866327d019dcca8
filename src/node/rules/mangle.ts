import { ipset } from "../../model/kernel/ipset.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import { markedLocal, unmarkedLocal } from "./local-mark.ts";
import { comment, inSet, masked, masqueradeMark, notInSet, type RuleOptions } from "./match.ts";

/**
 * What must happen to this node's own clients before IPVS. A packet of a local process meets IPVS between the tables nat
 * and filter of OUTPUT: filter sees it rewritten already, so its drops are here.
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
      // Not in PREROUTING: only here are the packets sure to be for this host, and none is routed by our mark.
      { from: "INPUT", rule: `${comment("kubernetes local traffic of pods")} -j KUBE-LOCAL-PODS` },
      { from: "OUTPUT", rule: `${comment("kubernetes local traffic of this node")} -j KUBE-LOCAL-NODE` },
      { from: "POSTROUTING", rule: `${comment("kubernetes local traffic has been routed")} -j KUBE-LOCAL-UNMARK` },
    ],
  };
}

/**
 * Gives the packet the mark that the set has for its destination; one whose destination is not in it stays as it is, and so
 * does one with bits of others there: they would be lost, and IPVS knows no mark with them.
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
 * IPVS has chosen; whoever reads marks after us is to find his own. The node itself is to be masqueraded, which is decided
 * with the first packet of a flow, when conntrack has not confirmed it: on a later one, which is still NEW until somebody has
 * answered, nobody would clear the mark.
 */
function unmarkRules(options: RuleOptions): readonly string[] {
  return [
    `-m mark ! --mark ${markedLocal(options)} -j RETURN`,
    `-m conntrack ! --ctstatus CONFIRMED -m addrtype --src-type LOCAL -j MARK --set-xmark ${masqueradeMark(options)}`,
    `-j MARK --set-xmark ${masked(0, options.localMarkMask)}`,
  ];
}
