import type { Effect } from "../../support/neighbours/rule-set.ts";
import { ruleSetSuite } from "../../support/neighbours/rule-set-suite.ts";
import { BALANCED } from "../../support/neighbours/shared-node.ts";
import type { TestNode } from "../../support/node/netns.ts";
import { FAMILY_CASES } from "../../support/traffic/families.ts";

function effects(node: TestNode): readonly Effect[] {
  const { outside } = node;
  const [a, b] = [node.pod("a"), node.pod("b")];
  return FAMILY_CASES.flatMap(([family, { ip }]) =>
    [
      { what: "pod to pod", from: b, to: ip(a), port: 8080, result: `a as ${ip(b)}` },
      { what: "pod to outside", from: b, to: ip(outside), port: 8080, result: `outside as ${ip(node.node)}` },
      { what: "outside to pod", from: outside, to: ip(a), port: 8080, result: `a as ${ip(outside)}` },
    ].map((effect) => ({ ...effect, what: `${effect.what}, ${family}` })),
  );
}

/** The masquerade mark survives beside the mark by which Cilium knows packets of the host. */
function served(node: TestNode): readonly Effect[] {
  const { outside, gateway } = node;
  return FAMILY_CASES.flatMap(([family, { ip, vip }]) => [
    { what: `outside, ${family}`, from: outside, to: ip(BALANCED), port: 80, result: `a as ${ip(gateway)}` },
    { what: `node, ${family}`, from: node.node, to: vip(1), port: 80, result: `a as ${ip(gateway)}` },
  ]);
}

ruleSetSuite({
  name: "Cilium, chained to another CNI",
  file: "cilium.rules",
  prepare: (node) => node.serve(node.outside, "outside"),
  effects,
  served,
});
