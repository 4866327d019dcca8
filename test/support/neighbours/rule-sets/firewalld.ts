import type { TestNode } from "../../node/netns.ts";
import { FAMILY_CASES } from "../../traffic/families.ts";
import type { Effect } from "../rule-set.ts";
import type { SuiteSpec } from "../rule-set-suite.ts";

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

export const FIREWALLD: SuiteSpec = {
  name: "firewalld with ports and addresses of Services opened",
  file: "firewalld.rules",
  flushesAll: true,
  effects,
  served,
};
