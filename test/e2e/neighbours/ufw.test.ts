import type { Effect } from "../../support/neighbours/rule-set.ts";
import { ruleSetSuite } from "../../support/neighbours/rule-set-suite.ts";
import { BALANCED, NODE_PORT } from "../../support/neighbours/shared-node.ts";
import type { TestNode } from "../../support/node/netns.ts";
import { FAMILY_CASES } from "../../support/traffic/families.ts";

const DENIED_PORT = 4444;

function effects(node: TestNode): readonly Effect[] {
  const { outside } = node;
  return FAMILY_CASES.flatMap(([family, { ip }]) =>
    [
      { what: "closed port", to: ip(node.node), port: 8080, result: "timeout" },
      { what: "allowed port without a process", to: ip(node.node), port: 2222, result: "refused" },
      { what: "forwarding by policy", to: ip(node.pod("a")), port: 8080, result: "timeout" },
    ].map((effect) => ({ ...effect, from: outside, what: `${effect.what}, ${family}` })),
  );
}

/** Clients that a rule of ufw denies stay off Services too. */
function served(node: TestNode): readonly Effect[] {
  const { outside } = node;
  return FAMILY_CASES.flatMap(([family, { ip }]) =>
    [
      { what: "denied at the NodePort", to: ip(node.node), port: NODE_PORT },
      { what: "denied at the load balancer", to: ip(BALANCED), port: 80 },
    ].map((effect) => ({
      ...effect,
      what: `${effect.what}, ${family}`,
      from: outside,
      fromPort: DENIED_PORT,
      result: "timeout",
    })),
  );
}

ruleSetSuite({
  name: "ufw",
  file: "ufw.rules",
  prepare: (node) => node.serve(node.node, "node"),
  effects,
  served,
});
