import type { TestNode } from "../../node/netns.ts";
import { FAMILY_CASES } from "../../traffic/families.ts";
import type { Effect } from "../rule-set.ts";
import type { SuiteSpec } from "../rule-set-suite.ts";
import { BALANCED } from "../shared-node.ts";

const CONTAINER = { ip: "172.17.0.2", ip6: "fd00:d0c::2" };

/** Makes pod c a container of Docker: behind the bridge docker0, with an address of that network, and unknown to Kubernetes. */
async function makeContainer(node: TestNode): Promise<void> {
  const pod = node.pod("c");
  await node.prints(
    "ip link add docker0 type bridge; ip link set docker0 up; ip link set pod2 master docker0;",
    "ip addr add 172.17.0.1/16 dev docker0; ip addr add fd00:d0c::1/64 dev docker0 nodad",
  );
  await pod.namespace.output(
    ["sh", "-ec"].concat(
      `ip addr add ${CONTAINER.ip}/16 dev eth0; ip addr add ${CONTAINER.ip6}/64 dev eth0 nodad
       ip route replace default via 172.17.0.1 src ${CONTAINER.ip}
       ip -6 route replace default via fd00:d0c::1 src ${CONTAINER.ip6}`,
    ),
  );
  await node.serve({ namespace: pod.namespace, ...CONTAINER }, "container");
}

function effects(node: TestNode): readonly Effect[] {
  const { outside } = node;
  const container = { ...node.pod("c"), ...CONTAINER };
  return FAMILY_CASES.flatMap(([family, { ip }]) =>
    [
      ...[80, 8081].map((port) => ({
        what: `published port ${port}`,
        from: outside,
        to: ip(node.node),
        port,
        result: `container as ${ip(outside)}`,
      })),
      { what: "unpublished address", from: outside, to: ip(CONTAINER), port: 8080, result: "timeout" },
      { what: "forwarding by policy", from: outside, to: ip(node.pod("a")), port: 8080, result: "timeout" },
      {
        what: "container to outside",
        from: container,
        to: ip(outside),
        port: 8080,
        result: `outside as ${ip(node.node)}`,
      },
    ].map((effect) => ({ ...effect, what: `${effect.what}, ${family}` })),
  );
}

function served(node: TestNode): readonly Effect[] {
  const from = { ...node.pod("c"), ...CONTAINER };
  return FAMILY_CASES.flatMap(([family, { vip, ip }]) =>
    [vip(1), ip(BALANCED)].map((to) => ({
      what: `container to ${to}, ${family}`,
      from,
      to,
      port: 80,
      result: `a as ${ip(node.gateway)}`,
    })),
  );
}

export const DOCKER: SuiteSpec = { name: "Docker", file: "docker.rules", prepare: makeContainer, effects, served };
