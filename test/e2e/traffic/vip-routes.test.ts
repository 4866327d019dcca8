import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, CLUSTER_CIDR, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { allAnswered, dropped, IN_VAIN, refused } from "../../support/traffic/answers.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/**
 * Traffic to every kind of frontend while VIPs are bound by routes (--vip-binding=route). Pods a and b serve, c is a client.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

const EXTERNAL = ["203.0.113.1", "2001:db8:1::1"];
const BALANCED = ["198.51.100.1", "2001:db8:2::1"];
const LOCAL = ["198.51.100.2", "2001:db8:2::2"];
const RANGED = ["198.51.100.3", "2001:db8:2::3"];
const PORTS = [
  { name: "http", port: 80, nodePort: 30_080 },
  { name: "dns", port: 53, protocol: "UDP", nodePort: 30_053 },
];
const TARGETS = [
  { name: "http", port: 8080 },
  { name: "dns", port: 5353, protocol: "UDP" },
];

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "b", "c"] });
  const slices = (name: string, ...pods: readonly string[]) =>
    (["ip", "ip6"] as const).map((family) => {
      const endpoints = pods.map((pod) => ({ ip: node.pod(pod)[family], node: node.name }));
      return sliceObject(`${name}-${family}`, { ports: TARGETS, endpoints });
    });
  await manifests.put("all.json", [
    serviceObject("shop/all", { ip: vips(1), ports: PORTS, externalIPs: EXTERNAL, loadBalancerIPs: BALANCED }),
    ...slices("shop/all", "a", "b"),
    serviceObject("shop/local", {
      ...{ ip: vips(2), ports: [{ name: "http", port: 80, nodePort: 30_082 }], loadBalancerIPs: LOCAL },
      external: "Local",
    }),
    ...slices("shop/local", "a"),
    serviceObject("shop/ranged", {
      ...{ ip: vips(3), ports: [{ name: "http", port: 80, nodePort: 30_083 }], loadBalancerIPs: RANGED },
      sourceRanges: ["192.168.1.0/24", "fd00:192:1::/64"],
    }),
    ...slices("shop/ranged", "b"),
    serviceObject("shop/self", { ip: vips(4), ports: [{ name: "http", port: 80 }] }),
    ...slices("shop/self", "c"),
  ]);
  const networks = [...vips(1), ...vips(2), ...vips(3), ...EXTERNAL, ...BALANCED, ...LOCAL, ...RANGED];
  await node.outside.namespace.output(
    ["ip", "-batch", "-"],
    networks.map((ip) => `route replace ${ip} via ${ip.includes(":") ? node.node.ip6 : node.node.ip}\n`).join(""),
  );
  agent = AgentProcess.start(node, manifests, "--vip-binding", "route");
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const from = (host: Host) => node.client(host);
const pod = () => node.pod("c");

test("no VIP is an address of an interface, and all are local routes with our number", async () => {
  expect(await node.prints("ip -o address show dev kube-ipvs0 scope global")).toBe("");
  const routes = await node.prints("ip -o route show table local proto 173; ip -o -6 route show table local proto 173");
  const all = [...EXTERNAL, ...BALANCED, ...LOCAL, ...RANGED, ...[1, 2, 3, 4].flatMap(vips)];
  const shown = routes.trim().split("\n");
  expect(shown.map((line) => line.split(" ")[1]).toSorted()).toEqual(all.toSorted());
  expect(shown.filter((line) => !/^local \S+ dev lo .*metric 173\b/.test(line))).toEqual([]);
});

describe.each(FAMILY_CASES)("%s", (family, { vip, ip }) => {
  const at = (addresses: readonly string[]) => addresses[family === "IPv4" ? 0 : 1] ?? "";
  const gateway = () => ip({ ...pod(), ...node.gateway });

  test("a ClusterIP serves a pod, which keeps its address, and the node and hosts outside, which are masqueraded", async () => {
    expect(await from(pod()).tcp(vip(1), 80, 4)).toEqual(allAnswered({ a: 2, b: 2 }, ip(pod())));
    expect(await from(pod()).udp(vip(1), 53, 4)).toEqual(allAnswered({ a: 2, b: 2 }, ip(pod())));
    for (const host of [node.node, node.outside]) {
      expect(await from(host).tcp(vip(1), 80, 4)).toEqual(allAnswered({ a: 2, b: 2 }, gateway()));
      expect(await from(host).udp(vip(1), 53, 4)).toEqual(allAnswered({ a: 2, b: 2 }, gateway()));
    }
  });

  test("a pod reaches itself through a ClusterIP", async () => {
    expect(await from(pod()).tcp(vip(4), 80, 2)).toEqual(allAnswered({ c: 2 }, gateway()));
  });

  test.each([
    ["an external IP", EXTERNAL],
    ["a load balancer IP", BALANCED],
  ])("%s serves hosts outside, pods and the node, masqueraded", async (_, addresses) => {
    for (const host of [node.outside, pod(), node.node])
      expect(await from(host).tcp(at(addresses), 80, 4)).toEqual(allAnswered({ a: 2, b: 2 }, gateway()));
    expect(await from(node.outside).udp(at(addresses), 53, 4)).toEqual(allAnswered({ a: 2, b: 2 }, gateway()));
  });

  test("under the external policy Local a load balancer IP and a NodePort show the address of the host outside", async () => {
    for (const [to, port] of [[at(LOCAL), 80] as const, [ip(node.node), 30_082] as const])
      expect(await from(node.outside).tcp(to, port, 2)).toEqual(allAnswered({ a: 2 }, ip(node.outside)));
    for (const host of [pod(), node.node])
      expect(await from(host).tcp(at(LOCAL), 80, 2)).toEqual(allAnswered({ a: 2 }));
  });

  test("source ranges of a load balancer IP admit hosts outside, and no pods", async () => {
    expect(await from(node.outside).tcp(at(RANGED), 80, 2)).toEqual(allAnswered({ b: 2 }));
    expect(await from(pod()).tcp(at(RANGED), 80, 1, IN_VAIN)).toEqual(dropped(1));
  });

  test("a NodePort serves at the addresses of the node, and at no VIP", async () => {
    for (const host of [node.outside, pod(), node.node])
      expect(await from(host).tcp(ip(node.node), 30_080, 4)).toEqual(allAnswered({ a: 2, b: 2 }));
    expect(await from(node.outside).udp(ip(node.node), 30_053, 4)).toEqual(allAnswered({ a: 2, b: 2 }));
    expect(await from(pod()).tcp(vip(1), 30_080)).toEqual(refused(1));
    expect(await from(node.outside).tcp(at(EXTERNAL), 30_080)).toEqual(refused(1));
  });

  test("ports of the host and ports that no Service has are refused at a VIP, and pings are answered", async () => {
    expect(await from(pod()).tcp(vip(1), 10_256)).toEqual(refused(1));
    expect(await from(pod()).tcp(vip(1), 82)).toEqual(refused(1));
    expect(await from(pod()).udp(vip(1), 82, 2)).toEqual(refused(2));
    expect((await from(node.outside).ping(at(EXTERNAL))).errors).toEqual({});
  });

  test("a connection of the node has a VIP as source only to this VIP, and of IPv6 an address of the node", async () => {
    const source = async (to: string) => / src (\S+)/.exec(await node.prints(`ip route get ${to}`))?.[1];
    const own = [ip(node.node), gateway()];
    expect(own).toContain(await source(ip(node.outside)));
    const taken = (await source(vip(1))) ?? "";
    expect(family === "IPv4" ? [vip(1)] : own).toContain(taken);
    const to = family === "IPv4" ? `${vip(1)}:80` : `[${vip(1)}]:80`;
    const { code, out } = await kubeIpvs(node, "trace", "--from", "node", "--to", to, "--cluster-cidr", CLUSTER_CIDR);
    expect(out.split("\n")[0]).toContain(taken);
    expect(code).toBe(0);
  });

  test("explain finds nothing wrong, and names a route that is missing", async () => {
    const command = ["explain", "shop/self", ...flagsFor(node, manifests), "--vip-binding", "route"];
    expect((await kubeIpvs(node, ...command)).out).toContain("ok: nothing is wrong on this node");
    // Without an agent nothing repairs it.
    await agent[Symbol.asyncDispose]();
    await node.prints(`ip route del local ${vip(4)} table local proto 173`);
    const { code, out } = await kubeIpvs(node, ...command);
    expect(out).toContain(`error: the local route of address ${vip(4)} is missing`);
    expect(code).toBe(2);
    agent = AgentProcess.start(node, manifests, "--vip-binding", "route");
    await agent.ready();
    expect((await kubeIpvs(node, ...command)).code).toBe(0);
  });
});

describe("where pods cannot be recognised", () => {
  test("the node is masqueraded to a ClusterIP in both families, and a host outside is not", async () => {
    await agent[Symbol.asyncDispose]();
    // An address that a pod has no answer for but by way of the node: Linux takes it as source to a VIP of IPv6 (RFC 6724, rule 5).
    await node.prints("ip addr add fd00:192:1::77/128 dev lo");
    agent = AgentProcess.start(node, manifests, "--vip-binding", "route", "--detect-local-mode", "NodeCIDR");
    await agent.ready();
    for (const [index, [, { vip, ip }]] of FAMILY_CASES.entries()) {
      const gateway = ip({ ...pod(), ...node.gateway });
      expect(await from(node.node).tcp(vip(1), 80, 4)).toEqual(allAnswered({ a: 2, b: 2 }, gateway));
      expect(await from(node.outside).tcp(vip(1), 80, 2)).toEqual(allAnswered({ a: 1, b: 1 }, ip(node.outside)));
      expect(await from(pod()).tcp(vip(1), 80, 2)).toEqual(allAnswered({ a: 1, b: 1 }, ip(pod())));
      if (index === 1) expect(await node.prints(`ip route get ${vip(1)}`)).toContain(" src fd00:192:1::77 ");
    }
  });
});
