import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FAMILIES } from "../../../src/model/address.ts";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { nodeObject, serviceCIDRObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { allAnswered } from "../../support/traffic/answers.ts";
import type { Answers } from "../../support/traffic/client.ts";
import { vips } from "../../support/traffic/families.ts";

/**
 * Clients that connect to an address of a Service before the agent has programmed it: their first packets get no reply, and
 * TCP retries. The network of the node drops packets to these addresses, too, as long as no agent does.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "c"] });
  await node.outside.namespace.output(
    ["ip", "-batch", "-"],
    ["10.96.0.0/16", "fd00:96::/112", "198.51.100.0/24", "fd00:198::/112"]
      .map((cidr) => `route add blackhole ${cidr}\n`)
      .join(""),
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

/** The rule of another program, as any CNI has one: conntrack tracks what passes before an agent runs. */
const TRACKED = "-m conntrack --ctstate NEW -m comment --comment tracked";

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
    serviceObject(`shop/s${n}`, { ip: vips(n), loadBalancerIPs: balanced(n) }),
    sliceObject(`shop/s${n}-4`, { endpoints: [node.pod("a").ip] }),
    sliceObject(`shop/s${n}-6`, { endpoints: [node.pod("a").ip6] }),
  ]);

/** The balancer addresses of Service number n. */
const balanced = (n: number) => [`198.51.100.${n}`, `fd00:198::${n}`];

/** One connection of each client to each of these addresses; they have time for several attempts of TCP. */
const connect = (ips: readonly string[]): Promise<readonly Answers[]> =>
  Promise.all(
    ips.flatMap((ip) =>
      clients().map(([host]) => node.client(host).tcp(ip, 80, 1, { timeoutSeconds: patient(30_000) / 1_000 })),
    ),
  );

const answered = FAMILIES.flatMap(() => [allAnswered({ a: 1 }), allAnswered({ a: 1 })]);

/** Resolves when conntrack has a packet without a reply of all clients, to port 80. */
const allUnreplied = () =>
  eventually(async () => {
    const flows = await node.prints("conntrack -L -f ipv4 2>/dev/null; conntrack -L -f ipv6 2>/dev/null");
    expect(flows.match(/dport=80 \[UNREPLIED\]/g)).toHaveLength(4);
  });

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
  await node.prints(
    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
    ...["iptables", "ip6tables"].map(
      (program) => `; ${program} -A FORWARD ${TRACKED}; ${program} -A OUTPUT ${TRACKED}`,
    ),
  );
  const connections = connect(vips(1));
  await allUnreplied();
  await start();
  expect(await connections).toEqual(answered);
});

describe("after the agent has programmed the node", () => {
  beforeEach(async () => {
    await node.prints("iptables -Z; ip6tables -Z");
  });

  test("a client that connects before its Service is programmed is served at the next attempt of TCP", async () => {
    const connections = connect(vips(2));
    await allStopped();
    await put(2);
    const all = await connections;
    expect(all).toEqual(answered);
    // The first one takes a second, and so it shows that the packet was lost.
    for (const { slowest } of all) expect(slowest).toBeGreaterThan(0.5);
  });

  test("a client that connects to a balancer address before its Service is programmed is served at a next attempt of TCP", async () => {
    const connections = connect(balanced(4));
    await allUnreplied();
    await put(4);
    expect(await connections).toEqual(answered);
  });

  test("a client that connects to a new Service while no agent runs is served after one starts", async () => {
    await agent[Symbol.asyncDispose]();
    await put(3);
    const connections = connect(vips(3));
    await allStopped();
    await start();
    expect(await connections).toEqual(answered);
  });
});
