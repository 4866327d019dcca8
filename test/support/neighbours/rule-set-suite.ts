import { afterAll, beforeAll, describe, test } from "vitest";
import type { TestNode } from "../node/netns.ts";
import { serviceObject, sliceObject } from "../objects/builders.ts";
import { patient } from "../time/patience.ts";
import { FAMILY_CASES, vips } from "../traffic/families.ts";
import { type Effect, expectEffects, RuleSet, type RuleSetSpec } from "./rule-set.ts";
import { SharedNode } from "./shared-node.ts";

/** The load balancer addresses and the NodePort of the Service "shop/dns". */
const DNS_ADDRESSES = { ip: "203.0.113.2", ip6: "2001:db8:2::2" };
const DNS_NODE_PORT = 30_053;

export interface SuiteSpec extends RuleSetSpec {
  readonly name: string;
  /** Makes the interfaces, servers and sets of the neighbour. */
  readonly prepare?: (node: TestNode) => Promise<void>;
  /** More requests to Services. */
  readonly served?: (node: TestNode) => readonly Effect[];
}

/** Tests that the agent and a neighbour which is known by its rules work on one node, whichever of them starts first. */
export function ruleSetSuite(spec: SuiteSpec): void {
  describe(spec.name, () => {
    let shared: SharedNode;
    const neighbour = new RuleSet(spec);

    beforeAll(async () => {
      const served = (node: TestNode) => [...dnsEffects(node), ...(spec.served?.(node) ?? [])];
      shared = await SharedNode.create({
        objects: dnsObjects,
        expectServed: (node) => expectEffects(node, served(node)),
      });
      await spec.prepare?.(shared.node);
    });

    afterAll(() => shared?.[Symbol.asyncDispose]());

    test.each(["neighbour", "agent"] as const)(
      "and Services work, with the %s started first, before and after a reload",
      {
        timeout: patient(90_000),
      },
      (first) => shared.live(neighbour, first),
    );
  });
}

/** The Service "shop/dns": UDP on pod a of this node, for clients outside under the external policy Local. */
function dnsObjects(node: TestNode): readonly object[] {
  const port = { name: "dns", protocol: "UDP" };
  const { ip, ip6 } = node.pod("a");
  const slice = (address: string) => ({
    ports: [{ ...port, port: 5353 }],
    endpoints: [{ ip: address, node: node.name, ready: true }],
  });
  return [
    serviceObject("shop/dns", {
      type: "LoadBalancer",
      ip: vips(2),
      ports: [{ ...port, port: 53, nodePort: DNS_NODE_PORT }],
      loadBalancerIPs: [DNS_ADDRESSES.ip, DNS_ADDRESSES.ip6],
      external: "Local",
    }),
    sliceObject("shop/dns-4", slice(ip)),
    sliceObject("shop/dns-6", slice(ip6)),
  ];
}

/** UDP and the source address: the neighbour must neither masquerade clients of the policy Local nor keep them off. */
function dnsEffects(node: TestNode): readonly Effect[] {
  const { outside } = node;
  const pod = node.pod("b");
  return FAMILY_CASES.flatMap(([family, { vip, ip }]) =>
    [
      { what: "a pod, ClusterIP", from: pod, to: vip(2), port: 53, result: `a as ${ip(pod)}` },
      {
        what: "outside, NodePort",
        from: outside,
        to: ip(node.node),
        port: DNS_NODE_PORT,
        result: `a as ${ip(outside)}`,
      },
      { what: "outside, load balancer", from: outside, to: ip(DNS_ADDRESSES), port: 53, result: `a as ${ip(outside)}` },
    ].map((effect) => ({ ...effect, what: `${effect.what}, UDP, ${family}`, protocol: "udp" as const })),
  );
}
