import type { TestNode } from "../../node/netns.ts";
import { FAMILY_CASES } from "../../traffic/families.ts";
import type { Effect } from "../rule-set.ts";
import type { SuiteSpec } from "../rule-set-suite.ts";
import { BALANCED, NODE_PORT } from "../shared-node.ts";

/** Pod a accepts no TCP from this port, as by a policy on source ports. */
const DENIED_PORT = 4444;

/** Makes the sets of felix: the addresses of this host, and the pools of pod addresses, which are masqueraded to others. */
async function makeSets(node: TestNode): Promise<void> {
  const commands = FAMILY_CASES.flatMap(([family, { ip }]) => {
    const [prefix, inet, pods] =
      family === "IPv4" ? ["cali4", "inet", "10.244.0.0/16"] : ["cali6", "inet6", "fd00:244::/32"];
    return [
      `create ${prefix}0this-host hash:ip family ${inet}`,
      ...[node.node, node.gateway].map((host) => `add ${prefix}0this-host ${ip(host)}`),
      ...["masq-ipam-pools", "all-ipam-pools"].flatMap((pool) => [
        `create ${prefix}${pool} hash:net family ${inet}`,
        `add ${prefix}${pool} ${pods}`,
      ]),
    ];
  });
  await node.prints(`ipset restore <<'END'\n${commands.join("\n")}\nEND`);
}

function effects(node: TestNode): readonly Effect[] {
  const { outside } = node;
  const [a, b, c] = [node.pod("a"), node.pod("b"), node.pod("c")];
  return FAMILY_CASES.flatMap(([family, { ip }]) =>
    [
      { what: "pod to pod", from: b, to: ip(a), port: 8080, result: `a as ${ip(b)}` },
      { what: "pod to outside", from: b, to: ip(outside), port: 8080, result: `outside as ${ip(node.node)}` },
      { what: "pod c may not send TCP", from: c, to: ip(a), port: 8080, result: "timeout" },
      { what: "denied port", from: outside, to: ip(a), port: 8080, fromPort: DENIED_PORT, result: "timeout" },
    ].map((effect) => ({ ...effect, what: `${effect.what}, ${family}` })),
  );
}

/** The policies of pods hold for Services. */
function served(node: TestNode): readonly Effect[] {
  const { outside } = node;
  const c = node.pod("c");
  return FAMILY_CASES.flatMap(([family, { ip, vip }]) =>
    [
      { what: "pod c may not send TCP to a Service", from: c, to: vip(1), port: 80, result: "timeout" },
      {
        what: "pod c may send UDP to a Service",
        from: c,
        to: vip(2),
        port: 53,
        protocol: "udp" as const,
        result: `a as ${ip(c)}`,
      },
      ...[
        { what: "denied at the NodePort", to: ip(node.node), port: NODE_PORT },
        { what: "denied at the load balancer", to: ip(BALANCED), port: 80 },
      ].map((denied) => ({ ...denied, from: outside, fromPort: DENIED_PORT, result: "timeout" })),
    ].map((effect) => ({ ...effect, what: `${effect.what}, ${family}` })),
  );
}

export const CALICO: SuiteSpec = { name: "Calico", file: "calico.rules", prepare: makeSets, effects, served };
