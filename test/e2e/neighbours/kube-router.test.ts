import { afterAll, beforeAll, expect, test } from "vitest";
import { KubeRouter } from "../../support/neighbours/kube-router.ts";
import { SharedNode } from "../../support/neighbours/shared-node.ts";
import type { Host, TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { allAnswered, dropped, IN_VAIN } from "../../support/traffic/answers.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/** kube-router as network policy: pod b may use pod a and pod c may not. */
let shared: SharedNode;

/** The load balancer addresses of a Service of pod b for pod a alone, and of one with pods b and c, which are said to be on another node. */
const RANGED = { ip: "203.0.113.2", ip6: "2001:db8:2::2" };
const AWAY = { ip: "203.0.113.3", ip6: "2001:db8:2::3" };

beforeAll(async () => {
  shared = await SharedNode.create({ objects: balancedServices });
});

afterAll(() => shared?.[Symbol.asyncDispose]());

function balancedServices(node: TestNode): readonly object[] {
  const [client, local, away] = [node.pod("a"), node.pod("b"), node.pod("c")];
  const slices = (name: string, hosts: readonly (readonly [Host, string])[]) =>
    FAMILY_CASES.map(([family, { ip }]) =>
      sliceObject(`shop/${name}-${family.toLowerCase()}`, {
        service: name,
        endpoints: hosts.map(([host, on]) => ({ ip: ip(host), node: on, ready: true })),
      }),
    );
  const balanced = ({ ip, ip6 }: typeof RANGED) => ({ loadBalancerIPs: [ip, ip6] });
  return [
    serviceObject("shop/ranged", {
      ...balanced(RANGED),
      ip: vips(2),
      sourceRanges: [`${client.ip}/32`, `${client.ip6}/128`],
    }),
    ...slices("ranged", [[local, node.name]]),
    serviceObject("shop/away", { ...balanced(AWAY), ip: vips(3), external: "Local" }),
    ...slices("away", [
      [local, node.name],
      [away, "elsewhere"],
    ]),
  ];
}

/** What docs/neighbours.md says to set. */
const RANGES: ConstructorParameters<typeof KubeRouter>[0] = {
  loadBalancerRanges: [["203.0.113.0/24"], ["2001:db8:2::/64"]],
};

test.each(["neighbour", "agent"] as const)(
  "kube-router keeps a denied pod from a Service, and the Service is served, when the %s starts first",
  async (first) => {
    await shared.live(new KubeRouter(RANGES), first);
  },
);

test("with the ranges of load balancers kube-router leaves source ranges and the policy Local to the agent, without them it accepts the packets first", async () => {
  const { node } = shared;
  await using _agent = await shared.start();
  const [client, stranger] = [node.client(node.pod("a")), node.client(node.pod("c"))];
  const known = new KubeRouter(RANGES);
  await known.layOut(node);
  for (const [, { ip }] of FAMILY_CASES) {
    expect(await client.tcp(ip(RANGED), 80)).toEqual(allAnswered({ b: 1 }));
    expect(await stranger.tcp(ip(RANGED), 80, 1, IN_VAIN)).toEqual(dropped(1));
    expect(await client.tcp(ip(AWAY), 80, 4)).toEqual(allAnswered({ b: 2, c: 2 }));
  }
  await new KubeRouter({ loadBalancerRanges: [[], []] }).layOut(node);
  for (const [, { ip }] of FAMILY_CASES) {
    expect(await stranger.tcp(ip(RANGED), 80)).toEqual(allAnswered({ b: 1 }));
    expect(await client.tcp(ip(AWAY), 80, 4)).toEqual(allAnswered({ b: 4 }));
  }
  await known.remove(node);
});
