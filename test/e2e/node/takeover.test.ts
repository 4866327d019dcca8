import { expect, test } from "vitest";
import { AgentProcess, type AgentSource, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode, RECORDED_FRONTENDS } from "../../support/node/kube-proxy-node.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { patient } from "../../support/time/patience.ts";
import { LongClient, type LoopAnswers } from "../../support/traffic/client.ts";

/** A node is taken over from a killed kube-proxy: nothing that works breaks, before the first sync or during it. */
const { clusterIPs, loadBalancerIPs, externalIP, port, nodePort } = RECORDED_FRONTENDS;
const TIMEOUT_MS = patient(120_000);
/** New connections a second of each client. */
const RATE = 4;

interface Way {
  readonly from: Host;
  readonly to: string;
  readonly port: number;
  /** The client address that the pods see if every connection is masqueraded. */
  readonly seenAs?: string;
}

function waysOf({ node, gateway, outside }: TestNode, asking: Host): readonly Way[] {
  return [
    { from: outside, to: node.ip, port: nodePort, seenAs: gateway.ip },
    { from: outside, to: node.ip6, port: nodePort, seenAs: gateway.ip6 },
    ...loadBalancerIPs.map((to, index) => ({
      from: outside,
      to,
      port,
      seenAs: [gateway.ip, gateway.ip6][index] ?? "",
    })),
    { from: outside, to: externalIP, port, seenAs: gateway.ip },
    ...clusterIPs.flatMap((to) => [asking, node].map((from) => ({ from, to, port }))),
  ];
}

/** The answers of clients that send requests while the agent starts, until `done`. */
async function seenWhile(node: TestNode, source: AgentSource, done: (agent: AgentProcess) => Promise<unknown>) {
  const ways = waysOf(node, node.pod("d"));
  const loops = await Promise.all(
    ways.map(({ from, to, port: number }) => LongClient.loop(from.namespace, to, number, { rate: RATE })),
  );
  await using agent = AgentProcess.start(node, source);
  await done(agent);
  const seen = await Promise.all(loops.map((loop) => loop.stop()));
  return ways.map((way, index) => ({ way, seen: seen[index] }));
}

/** All requests were answered, and those whose answer must pass this node were masqueraded. */
function expectUnharmed(all: readonly { readonly way: Way; readonly seen: LoopAnswers | undefined }[]): void {
  for (const { way, seen } of all) {
    const { errors, failures, resent, clients = {} } = seen ?? {};
    const what = `${way.from.ip} to ${way.to}:${way.port}`;
    expect({ what, errors, failures, resent }).toEqual({ what, errors: {}, failures: [], resent: 0 });
    if (way.seenAs !== undefined)
      expect({ what, clients: Object.keys(clients) }).toEqual({ what, clients: [way.seenAs] });
  }
}

async function takenOverNode(release: "recorded" | "older" = "recorded"): Promise<TestNode> {
  const node = await TestNode.create({ pods: ["a", "b", "c", "d"], ports: ["tcp:8080"] });
  await new KubeProxyNode(node).layOut(release);
  return node;
}

test("while no API server can be reached, everything that kube-proxy left still works, with NodePorts masqueraded", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using node = await takenOverNode();
  const unreachable = { flags: ["--master", "http://127.0.0.1:1"] };
  const seen = await seenWhile(node, unreachable, async (agent) => {
    await agent.logged("node prepared");
    // The rules are written: these requests, and some of every loop, pass them.
    for (const to of [node.node.ip, node.node.ip6]) await node.client(node.outside).tcp(to, nodePort, 40);
  });
  expectUnharmed(seen);
});

test.each(["recorded", "older"] as const)(
  "no request is lost, and masqueraded requests stay masqueraded, between the end of the %s kube-proxy and our first sync",
  { timeout: TIMEOUT_MS },
  async (release) => {
    await using node = await takenOverNode(release);
    await using manifests = await ManifestFolder.create();
    const kubeProxy = new KubeProxyNode(node);
    await kubeProxy.putObjects(manifests);
    const left = await kubeProxy.state();
    const seen = await seenWhile(node, manifests, async (agent) => {
      await agent.ready();
      await node.client(node.outside).tcp(node.node.ip, nodePort, 40);
    });
    expectUnharmed(seen);
    // The agent adopts what it finds, and only adds.
    const now = await kubeProxy.state();
    expect(now.servers).toEqual(expect.arrayContaining([...left.servers]));
    expect(now.sets).toEqual(expect.arrayContaining([...left.sets]));
    const kubelets = left.rules.filter((rule) => rule.includes("KUBE-MARK-DROP"));
    expect(kubelets).toHaveLength(release === "older" ? 2 : 0);
    expect(now.rules).toEqual(expect.arrayContaining([...kubelets]));
  },
);
