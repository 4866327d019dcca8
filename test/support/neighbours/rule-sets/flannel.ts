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
      ...[80, 8081].map((port) => ({
        what: `host port ${port}`,
        from: outside,
        to: ip(node.node),
        port,
        result: `c as ${ip(outside)}`,
      })),
      { what: "host port of its own node", from: b, to: ip(node.node), port: 8081, result: `c as ${ip(node.gateway)}` },
      { what: "pod to pod", from: b, to: ip(a), port: 8080, result: `a as ${ip(b)}` },
      { what: "pod to outside", from: b, to: ip(outside), port: 8080, result: `outside as ${ip(node.node)}` },
    ].map((effect) => ({ ...effect, what: `${effect.what}, ${family}` })),
  );
}

/** Port 80 of a Service is not the host port 80. */
function served(node: TestNode): readonly Effect[] {
  const [outside, b] = [node.outside, node.pod("b")];
  return FAMILY_CASES.flatMap(([family, { ip, vip }]) => [
    { what: `outside, ${family}`, from: outside, to: ip(BALANCED), port: 80, result: `a as ${ip(node.gateway)}` },
    { what: `pod, ${family}`, from: b, to: vip(1), port: 80, result: `a as ${ip(b)}` },
  ]);
}

export const FLANNEL: SuiteSpec = {
  name: "flannel and portmap",
  file: "flannel.rules",
  effects,
  served,
};
