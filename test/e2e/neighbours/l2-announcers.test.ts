import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Announcer, claim, giveUpAddresses, Link, takeAddresses } from "../../support/neighbours/link.ts";
import { Cluster } from "../../support/node/nodes.ts";
import { serviceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { LongClient } from "../../support/traffic/client.ts";
import { vips } from "../../support/traffic/families.ts";

/** Load balancer addresses on the link of two nodes and a client, which one node at a time announces; pod a is on node 1, pod b on node 2. */
let cluster: Cluster;
let link: Link;

const METALLB = ["192.168.1.201", "fd00:192:1::201"] as const;
/** An address of the announcers that no Service has. */
const FENCE = "192.168.1.250";
const KUBE_VIP = ["192.168.1.202", "fd00:192:1::202"] as const;
const STRICT = "--ipvs-strict-arp";

beforeAll(async () => {
  cluster = await Cluster.create({ nodes: [{ pods: ["a"] }, { pods: ["b"] }] });
  link = await Link.create(cluster);
  for (const [index, addresses] of [METALLB, KUBE_VIP].entries()) {
    const name = `shop/lb-${index + 1}`;
    const service = serviceObject(name, {
      ip: vips(index + 1),
      ports: [{ port: 80, nodePort: 30_080 + index }],
      loadBalancerIPs: addresses,
    });
    await cluster.apply(name, [service, ...cluster.slices(name, ["a", "b"])]);
  }
});

afterEach(() => link.forget());

afterAll(() => cluster?.[Symbol.asyncDispose]());

/** That the Services answer at these addresses and at a NodePort of each node; which pod is asked depends on other clients. */
async function expectServed(addresses: readonly string[]): Promise<void> {
  const balanced = addresses.map((address) => [cluster.node(1).outside, address, 80] as const);
  const nodePorts = cluster.nodes.flatMap(({ node, outside }) =>
    [node.ip, node.ip6].map((address) => [outside, address, 30_080] as const),
  );
  for (const [host, address, port] of [...balanced, ...nodePorts]) {
    const { count, errors } = await cluster.client(host).tcp(address, port, 2);
    expect({ address, count, errors }).toEqual({ address, count: 2, errors: {} });
  }
}

/**
 * New connections to the addresses while they move to another node. This node resets connections that were open at that moment: it has no
 * entry for them. All others must be answered.
 */
async function servedWhile(addresses: readonly string[], work: () => Promise<void>): Promise<void> {
  const { namespace } = cluster.node(1).outside;
  const loops = await Promise.all(addresses.map((address) => LongClient.loop(namespace, address, 80)));
  await work();
  for (const loop of loops) {
    const { reset: _, ...others } = (await loop.stop()).errors;
    expect(others).toEqual({});
  }
}

/** Which of the addresses are on kube-ipvs0 of the node. */
async function onDummy(number: number, addresses: readonly string[]): Promise<readonly string[]> {
  const text = await cluster.node(number).prints("ip -o address show dev kube-ipvs0");
  return addresses.filter((address) => text.includes(` ${address}/`));
}

describe("with --ipvs-strict-arp", () => {
  test("MetalLB alone answers ARP for an address on kube-ipvs0 of all nodes, whichever of both starts first, and when another node takes over", async () => {
    const first = await Announcer.start(cluster.node(1), [...METALLB, FENCE]);
    await cluster.start(STRICT);
    expect(await onDummy(1, METALLB)).toEqual(METALLB);
    expect(await onDummy(2, METALLB)).toEqual(METALLB);
    await expectServed(METALLB);
    expect(await link.answering(METALLB[0], FENCE)).toEqual(["node-1"]);
    for (const address of METALLB) expect(await link.owner(address)).toEqual(["node-1"]);

    // Its agents run already.
    await servedWhile(METALLB, async () => {
      await first.stop();
      expect(await link.answering(METALLB[0])).toEqual([]);
      const second = await Announcer.start(cluster.node(2), [...METALLB, FENCE]);
      await eventually(async () => {
        await claim(cluster.node(2), METALLB);
        for (const address of METALLB) expect(await link.owner(address)).toEqual(["node-2"]);
      });
      await expectServed(METALLB);
      expect(await link.answering(METALLB[0], FENCE)).toEqual(["node-2"]);
      await second.stop();
    });

    // What the flag prevents.
    const sysctl = "/proc/sys/net/ipv4/conf/all/arp_ignore";
    for (const node of cluster.nodes) await node.prints(`echo 0 > ${sysctl}`);
    expect(await link.answering(METALLB[0])).toEqual(["node-1", "node-2"]);
    for (const node of cluster.nodes) await node.prints(`echo 1 > ${sysctl}`);
  });

  test("nobody answers ARP for a VIP that is bound by a route, as for an address on kube-ipvs0, and an announcer serves it", async () => {
    for (const node of cluster.nodes) await cluster.stop(node);
    await cluster.start(STRICT, "--vip-binding=route");
    for (const { node } of cluster.nodes) {
      const shown = await node.namespace.output(["ip", "-o", "route", "show", "table", "local", "proto", "173"]);
      expect(shown).toContain(`local ${METALLB[0]} dev lo `);
    }
    expect(await onDummy(1, METALLB)).toEqual([]);
    expect(await link.answering(METALLB[0])).toEqual([]);
    const announcer = await Announcer.start(cluster.node(1), [...METALLB, FENCE]);
    await expectServed(METALLB);
    expect(await link.answering(METALLB[0], FENCE)).toEqual(["node-1"]);
    await announcer.stop();

    const sysctl = "/proc/sys/net/ipv4/conf/all/arp_ignore";
    for (const node of cluster.nodes) await node.prints(`echo 0 > ${sysctl}`);
    expect(await link.answering(METALLB[0])).toEqual(["node-1", "node-2"]);
    for (const node of cluster.nodes) await node.prints(`echo 1 > ${sysctl}`);
    for (const node of cluster.nodes) await cluster.stop(node);
  });

  test("an address that kube-vip has on eth0 of one node is served there and on no kube-ipvs0 of it, and moves to another node", async () => {
    await cluster.start(STRICT);
    await takeAddresses(cluster.node(1), KUBE_VIP);
    await eventually(async () => expect(await onDummy(1, KUBE_VIP)).toEqual([]));
    await expectServed(KUBE_VIP);
    expect(await link.answering(KUBE_VIP[0])).toEqual(["node-1"]);

    // An agent that starts while the address is on eth0.
    await cluster.stop(cluster.node(1));
    await cluster.start(STRICT);
    expect(await onDummy(1, KUBE_VIP)).toEqual([]);
    await expectServed(KUBE_VIP);

    await servedWhile(KUBE_VIP, async () => {
      await giveUpAddresses(cluster.node(1), KUBE_VIP);
      await takeAddresses(cluster.node(2), KUBE_VIP);
      await eventually(async () => {
        await claim(cluster.node(2), KUBE_VIP);
        for (const address of KUBE_VIP) expect(await link.owner(address)).toEqual(["node-2"]);
        expect(await onDummy(1, KUBE_VIP)).toEqual(KUBE_VIP);
        expect(await onDummy(2, KUBE_VIP)).toEqual([]);
      });
      await expectServed(KUBE_VIP);
    });
    expect(await link.answering(KUBE_VIP[0])).toEqual(["node-2"]);
  });
});
