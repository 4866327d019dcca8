import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAnswers, NodeLocalDNS } from "../../support/neighbours/node-local-dns.ts";
import { SharedNode } from "../../support/neighbours/shared-node.ts";
import type { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { allAnswered, IN_VAIN } from "../../support/traffic/answers.ts";
import { vips } from "../../support/traffic/families.ts";

/** NodeLocal DNSCache in front of the cluster's DNS, which pod a is. */
let shared: SharedNode;

const KUBE_DNS = vips(10);
/** The ClusterIPs of the Service kube-dns-upstream, which leads to the same pods. */
const UPSTREAM = vips(11);

beforeAll(async () => {
  shared = await SharedNode.create({ objects: dnsServices });
});

afterAll(() => shared?.[Symbol.asyncDispose]());

function dnsServices(node: TestNode): readonly object[] {
  const { ip, ip6 } = node.pod("a");
  const ports = [
    { name: "dns-tcp", port: 8080 },
    { name: "dns", port: 5353, protocol: "UDP" },
  ];
  return [["kube-dns", KUBE_DNS] as const, ["kube-dns-upstream", UPSTREAM] as const].flatMap(([name, ips]) => [
    serviceObject(`kube-system/${name}`, {
      ip: ips,
      ports: [
        { name: "dns-tcp", port: 53 },
        { name: "dns", port: 53, protocol: "UDP" },
      ],
    }),
    sliceObject(`kube-system/${name}-4`, { service: name, ports, endpoints: [ip] }),
    sliceObject(`kube-system/${name}-6`, { service: name, ports, endpoints: [ip6] }),
  ]);
}

test.each(["neighbour", "agent"] as const)(
  "NodeLocal DNSCache answers at its own address, and Services are served, when the %s starts first",
  async (first) => {
    await shared.live(new NodeLocalDNS({ upstream: KUBE_DNS }), first);
  },
);

test("with the manifest for the iptables mode, NodeLocal DNSCache answers at the ClusterIP of kube-dns, and the agent does once the cache is removed", async () => {
  const { node } = shared;
  const pod = node.pod("b");
  const cache = new NodeLocalDNS({ upstream: UPSTREAM, taken: KUBE_DNS });
  await using _agent = await shared.start();
  await cache.layOut(node);
  const [ip, ip6] = KUBE_DNS;
  await eventually(() => Promise.all(expectAnswers(node, pod, { ip, ip6 }, pod)));
  await cache.expectEffect(node);
  await cache.remove(node);
  for (const address of KUBE_DNS)
    await eventually(async () =>
      expect(await node.client(pod).udp(address, 53, 1, IN_VAIN)).toEqual(allAnswered({ a: 1 })),
    );
});
