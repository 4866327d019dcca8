import type { TestNode } from "../../node/netns.ts";
import { FAMILY_CASES } from "../../traffic/families.ts";
import type { Effect } from "../rule-set.ts";
import type { SuiteSpec } from "../rule-set-suite.ts";
import { BALANCED, NODE_PORT } from "../shared-node.ts";

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

export const UFW: SuiteSpec = {
  name: "ufw",
  file: "ufw.rules",
  needsResync: true,
  effects,
  served,
};
