import { afterAll, beforeAll, describe, test } from "vitest";
import type { TestNode } from "../node/netns.ts";
import { serviceObject, sliceObject } from "../objects/builders.ts";
import { patient } from "../time/patience.ts";
import { FAMILY_CASES, vips } from "../traffic/families.ts";
import { type Effect, RuleSet, type RuleSetSpec } from "./rule-set.ts";
import { SharedNode } from "./shared-node.ts";

/** The load balancer addresses and the NodePort of the Service "shop/dns". */
const DNS_ADDRESSES = { ip: "203.0.113.2", ip6: "2001:db8:2::2" };
const DNS_NODE_PORT = 30_053;

export interface SuiteSpec extends RuleSetSpec {
  readonly name: string;
  /** Makes the interfaces, servers and sets of the neighbour, which stay until the end of the file. */
  readonly prepare?: (node: TestNode) => Promise<void>;
  /** Requests to Services, besides those of all suites. */
  readonly served?: (node: TestNode) => readonly Effect[];
}

/** Tests on one node, one neighbour at a time, that agent and neighbour both work, whichever of them starts first. */
export function ruleSetSuites(specs: readonly SuiteSpec[]): void {
  let shared: SharedNode;

  beforeAll(async () => {
    shared = await SharedNode.create({ objects: dnsObjects });
    const { node } = shared;
    await node.serve(node.node, "node");
    await node.serve(node.outside, "outside");
  });

  afterAll(() => shared?.[Symbol.asyncDispose]());

  describe.each(specs)("$name", (spec) => {
    const effects = (node: TestNode) => [...dnsEffects(node), ...(spec.served?.(node) ?? []), ...spec.effects(node)];
    const neighbour = new RuleSet({ ...spec, effects });

    beforeAll(() => spec.prepare?.(shared.node));

    test.each(["neighbour", "agent"] as const)(
      "and Services work, with the %s started first, before and after a reload",
      { timeout: patient(90_000) },
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

/**
 * UDP and the source address: the neighbour must neither masquerade clients outside of the policy Local nor keep them off, and
 * packets of the node are masqueraded.
 */
function dnsEffects(node: TestNode): readonly Effect[] {
  const { outside, gateway } = node;
  const pod = node.pod("b");
  return FAMILY_CASES.flatMap(([family, { vip, ip }]) => {
    const [clusterIP, nodePort, balanced] = [
      { what: "ClusterIP", to: vip(2), port: 53 },
      { what: "NodePort", to: ip(node.node), port: DNS_NODE_PORT },
      { what: "load balancer", to: ip(DNS_ADDRESSES), port: 53 },
    ] as const;
    return [
      { ...clusterIP, who: "a pod", from: pod, result: `a as ${ip(pod)}` },
      { ...nodePort, who: "outside", from: outside, result: `a as ${ip(outside)}` },
      { ...balanced, who: "outside", from: outside, result: `a as ${ip(outside)}` },
      { ...balanced, who: "the node", from: node.node, result: `a as ${ip(gateway)}` },
    ].map(({ who, what, ...effect }) => ({
      ...effect,
      what: `${who}, ${what}, UDP, ${family}`,
      protocol: "udp" as const,
    }));
  });
}
