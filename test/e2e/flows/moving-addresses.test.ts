import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Addresses, type Host, TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { allAnswered } from "../../support/traffic/answers.ts";
import { type Answers, LongClient } from "../../support/traffic/client.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/**
 * Addresses from outside the cluster that change their owner while connections are open through them. The pod a serves; the
 * pod c, the node and the host outside are clients. The agent resyncs only once, so that it follows events alone.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "c"], ports: ["tcp:80", "tcp:8080"] });
  await node.prints(`ip route add default via ${node.outside.ip}; ip route add default via ${node.outside.ip6}`);
  agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "10m");
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

/** The addresses of Service number n: an external one and one of a load balancer. */
const external = (n: number): Addresses => ({ ip: `198.51.100.${n}`, ip6: `2001:db8:1::${n}` });
const balanced = (n: number): Addresses => ({ ip: `203.0.113.${n}`, ip6: `2001:db8:2::${n}` });
const both = ({ ip, ip6 }: Addresses) => [ip, ip6];

/** Creates Service number n, with NodePort 30000 + n, and waits until it serves at all its addresses. */
async function put(n: number): Promise<void> {
  await manifests.put(`s${n}.json`, [
    serviceObject(`shop/s${n}`, {
      type: "LoadBalancer",
      ip: vips(n),
      ports: [{ port: 80, nodePort: 30_000 + n }],
      externalIPs: both(external(n)),
      loadBalancerIPs: both(balanced(n)),
    }),
    sliceObject(`shop/s${n}-4`, { endpoints: [node.pod("a").ip] }),
    sliceObject(`shop/s${n}-6`, { endpoints: [node.pod("a").ip6] }),
  ]);
  await eventually(async () => expect(await bound()).toEqual(expect.arrayContaining([...vips(n), ...outer(n)])));
}

const outer = (n: number): readonly string[] => [...both(external(n)), ...both(balanced(n))];

/** The addresses of kube-ipvs0. */
async function bound(): Promise<readonly string[]> {
  const text = await node.prints("ip -o address show dev kube-ipvs0");
  return [...text.matchAll(/ inet6? ([^/ ]+)/g)].map(([, address = ""]) => address);
}

const isBound = (address: string, expected: boolean) =>
  eventually(async () => expect((await bound()).includes(address)).toBe(expected), { withinMs: 20_000 });

const hold = ({ namespace }: Host, address: string, port = 80) => LongClient.hold(namespace, address, port);

const LIVED = { answered: ["a"], errors: {} };
const summary = ({ answers, errors }: Answers) => ({ answered: Object.keys(answers), errors });

test("external addresses of a deleted Service leave kube-ipvs0 within 30 s, which ends their open connections, and its other addresses wait for theirs", {
  timeout: patient(90_000),
}, async () => {
  await put(1);
  const [pod, addresses] = [node.pod("c"), outer(1)];
  const cut = await Promise.all(addresses.map((address) => hold(pod, address)));
  const kept = await Promise.all([
    ...vips(1).map((vip) => hold(node.node, vip)),
    ...both(node.node).map((address) => hold(node.outside, address, 30_001)),
  ]);
  // The host outside is the new owner of all addresses.
  const own = (dev: string) => addresses.map((address) => `address add ${address} dev ${dev}`).join("\n");
  await node.outside.namespace.output(["ip", "-batch", "-"], own("lo"));
  await Promise.all(
    [external(1), balanced(1)].map((host) => node.serve({ ...host, namespace: node.outside.namespace }, "owner")),
  );
  const deletedAt = performance.now();
  await manifests.remove("s1.json");
  await eventually(
    async () => {
      const left = await bound();
      expect(addresses.filter((address) => left.includes(address))).toEqual([]);
    },
    { withinMs: 45_000, everyMs: 200 },
  );
  expect(performance.now() - deletedAt).toBeLessThan(30_000 + patient(5_000));
  for (const address of addresses)
    for (const host of [pod, node.node])
      expect(await node.client(host).tcp(address, 80)).toEqual(allAnswered({ owner: 1 }));
  for (const client of cut) {
    const { answers, errors } = await client.stop();
    expect(Object.keys(answers)).toEqual(["a"]);
    expect(errors).not.toEqual({});
  }
  for (const client of kept) expect(summary(await client.stop())).toEqual(LIVED);
});

describe.each(FAMILY_CASES)("over %s", (family, { ip }) => {
  const n = family === "IPv4" ? 4 : 6;
  /** Has eth0 get or lose both addresses; without the word "nodad" Linux checks that of IPv6 for duplicates, which takes a second. */
  const change = (verb: "add" | "del", { ip, ip6 }: Addresses, how = "") =>
    node.prints(`ip address ${verb} ${ip}/32 dev eth0; ip address ${verb} ${ip6}/128 dev eth0 ${how}`);

  test("an external address of a deleted Service leaves kube-ipvs0 at once when the node gets it, and then belongs to the node", async () => {
    await put(n);
    const address = ip(external(n));
    const held = await hold(node.pod("c"), address);
    await manifests.remove(`s${n}.json`);
    // Others of the Service are free.
    await isBound(ip(balanced(n)), false);
    expect(await bound()).toContain(address);
    await change("add", external(n), "nodad");
    await isBound(address, false);
    // If it had left by its time limit, the connection would have ended.
    await node.serve({ ...external(n), namespace: node.node.namespace }, "node");
    expect(await node.client(node.pod("c")).tcp(address, 8080)).toEqual(allAnswered({ node: 1 }));
    expect(summary(await held.stop())).toEqual(LIVED);
    await change("del", external(n));
  });

  test("a load balancer's address that the node gets and loses is always served, and no connection is cut", async () => {
    await put(n + 10);
    const address = ip(balanced(n + 10));
    const clients = [node.pod("c"), node.outside];
    const held = await Promise.all([...clients, ...clients].map((host) => hold(host, address)));
    for (const how of ["nodad", ""]) {
      const loop = await LongClient.loop(node.outside.namespace, address, 80);
      await change("add", balanced(n + 10), how);
      await isBound(address, false);
      const { answers, count, errors, resent } = await loop.stop();
      expect({ answers, errors, resent }).toEqual({ answers: { a: count }, errors: {}, resent: 0 });
      for (const host of clients) expect(await node.client(host).tcp(address, 80)).toEqual(allAnswered({ a: 1 }));
      await change("del", balanced(n + 10));
      await isBound(address, true);
      for (const host of clients) expect(await node.client(host).tcp(address, 80)).toEqual(allAnswered({ a: 1 }));
    }
    for (const client of held) expect(summary(await client.stop())).toEqual(LIVED);
  });
});
