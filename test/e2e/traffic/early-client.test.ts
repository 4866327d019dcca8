import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { nodeObject, serviceCIDRObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { allAnswered } from "../../support/traffic/answers.ts";
import type { Answers } from "../../support/traffic/client.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/**
 * Clients that connect to a ClusterIP before the agent has programmed it: their first packets are dropped, and TCP retries. The
 * network of the node drops packets to ClusterIPs, too, as long as no agent does.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "c"] });
  await node.outside.namespace.output(
    ["ip", "-batch", "-"],
    "route add blackhole 10.96.0.0/16\nroute add blackhole fd00:96::/112\n",
  );
  await node.prints(`ip route add default via ${node.outside.ip}; ip route add default via ${node.outside.ip6}`);
  await manifests.put("node.json", [
    nodeObject(node.name, { ips: [node.node.ip, node.node.ip6] }),
    serviceCIDRObject("kubernetes", ["10.96.0.0/16", "fd00:96::/112"]),
  ]);
  // This starts the processes of all clients.
  await Promise.all(clients().map(async ([host]) => node.client(host).tcp(node.pod("a").ip, 8080, 1)));
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

/** A pod and a process of the node, and the chain that their packets to unknown ClusterIPs meet. */
const clients = (): readonly (readonly [Host, string])[] => [
  [node.pod("c"), "KUBE-FORWARD"],
  [node.node, "KUBE-IPVS-OUT-FILTER"],
];

const start = async () => {
  agent = AgentProcess.start(node, manifests);
  await agent.ready();
};

/** Creates Service number n. */
const put = (n: number) =>
  manifests.put(`s${n}.json`, [
    serviceObject(`shop/s${n}`, { ip: vips(n) }),
    sliceObject(`shop/s${n}-4`, { endpoints: [node.pod("a").ip] }),
    sliceObject(`shop/s${n}-6`, { endpoints: [node.pod("a").ip6] }),
  ]);

/** One connection of each client to Service number n over each family; they have time for several attempts of TCP. */
const connect = (n: number): Promise<readonly Answers[]> =>
  Promise.all(
    FAMILY_CASES.flatMap(([, { vip }]) =>
      clients().map(([host]) => node.client(host).tcp(vip(n), 80, 1, { timeoutSeconds: patient(30_000) / 1_000 })),
    ),
  );

const answered = FAMILY_CASES.flatMap(() => [allAnswered({ a: 1 }), allAnswered({ a: 1 })]);

/** Resolves when packets of all clients to ClusterIPs that no Service has met the rule for them. */
const allStopped = () =>
  eventually(async () => {
    const counted = await node.prints("iptables-save -c -t filter; ip6tables-save -c -t filter");
    for (const set of ["KUBE-SERVICE-CIDR", "KUBE-6-SERVICE-CIDR"])
      for (const [, chain] of clients())
        expect(counted).toMatch(new RegExp(`^\\[[1-9]\\d*:\\d+\\] -A ${chain} .*--match-set ${set} `, "m"));
  });

test("a client that connects before the first agent runs is served after it starts", {
  timeout: patient(90_000),
}, async () => {
  await put(1);
  const connections = connect(1);
  await start();
  expect(await connections).toEqual(answered);
});

describe("after the agent has programmed the node", () => {
  beforeEach(async () => {
    await node.prints("iptables -Z; ip6tables -Z");
  });

  test("a client that connects before its Service is programmed is served at the next attempt of TCP", async () => {
    const connections = connect(2);
    await allStopped();
    await put(2);
    const all = await connections;
    expect(all).toEqual(answered);
    // The first one takes a second, and so it shows that the packet was lost.
    for (const { slowest } of all) expect(slowest).toBeGreaterThan(0.5);
  });

  test("a client that connects to a new Service while no agent runs is served after one starts", async () => {
    await agent[Symbol.asyncDispose]();
    await put(3);
    const connections = connect(3);
    await allStopped();
    await start();
    expect(await connections).toEqual(answered);
  });
});
