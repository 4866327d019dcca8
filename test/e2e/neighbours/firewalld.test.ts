import type { Effect } from "../../support/neighbours/rule-set.ts";
import { ruleSetSuite } from "../../support/neighbours/rule-set-suite.ts";
import type { TestNode } from "../../support/node/netns.ts";
import { FAMILY_CASES } from "../../support/traffic/families.ts";

/** ICMP "administratively prohibited" is another error of connect(2) in each family. */
const REJECTED = { IPv4: "unreachable", IPv6: "Permission denied" };

function effects(node: TestNode): readonly Effect[] {
  const { outside } = node;
  return FAMILY_CASES.flatMap(([family, { ip }]) =>
    [
      { what: "closed port", to: ip(node.node), port: 8080, result: REJECTED[family] },
      { what: "open port without a process", to: ip(node.node), port: 22, result: "refused" },
      { what: "forwarding", to: ip(node.pod("a")), port: 8080, result: REJECTED[family] },
    ].map((effect) => ({ ...effect, from: outside, what: `${effect.what}, ${family}` })),
  );
}

/** What the zone does not accept is rejected: ClusterIPs are not opened here for clients outside. */
function served(node: TestNode): readonly Effect[] {
  return FAMILY_CASES.map(([family, { vip }]) => ({
    what: `ClusterIP that the zone rejects, ${family}`,
    from: node.outside,
    to: vip(1),
    port: 80,
    result: REJECTED[family],
  }));
}

ruleSetSuite({
  name: "firewalld with ports and addresses of Services opened",
  file: "firewalld.rules",
  flushesAll: true,
  prepare: (node) => node.serve(node.node, "node"),
  effects,
  served,
});
