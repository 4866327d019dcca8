import type { TestNode } from "../../node/netns.ts";
import { FAMILY_CASES } from "../../traffic/families.ts";
import type { Effect } from "../rule-set.ts";
import type { SuiteSpec } from "../rule-set-suite.ts";
import { BALANCED } from "../shared-node.ts";

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

export const CILIUM: SuiteSpec = {
  name: "Cilium, chained to another CNI",
  file: "cilium.rules",
  effects,
  served,
};
