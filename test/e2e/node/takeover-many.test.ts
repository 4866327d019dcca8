import { expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode } from "../../support/node/kube-proxy-node.ts";
import { ManyServices } from "../../support/node/many-services.ts";
import { ended } from "../../support/node/namespace.ts";
import { TestNode } from "../../support/node/netns.ts";
import { NODE_PORTS_AT, TAKEN_OVER_PODS, TAKEN_OVER_PORTS } from "../../support/node/node-load.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { Load } from "../../support/traffic/load.ts";

const COUNT = 1_000;

test(`of ${COUNT} Services of a kube-proxy no real server and no address is deleted or added again, and no request is lost`, {
  timeout: patient(240_000),
}, async () => {
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: TAKEN_OVER_PORTS });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  const many = new ManyServices(node, COUNT);
  await kubeProxy.layOut();
  await many.layOut();
  await kubeProxy.putObjects(manifests);
  await manifests.put("many.json", many.objects());
  // A real server that is added again begins to count at 0.
  await many.use();
  // The kernel sums up its counters every two seconds.
  const before = await eventually(async () => {
    const seen = await many.connections();
    expect([...seen.values()].filter((number) => number > 0)).toHaveLength(2 * COUNT);
    return seen;
  });
  const { servers, sets } = await kubeProxy.state();
  const load = await Load.begin(node.pod("client").namespace, many.targets(25), { rate: 50, held: 4 });
  const monitor = node.node.namespace.start(["ip", "-o", "monitor", "address", "dev", "kube-ipvs0"]);
  const changes: string[] = [];
  monitor.stdout.setEncoding("utf8").on("data", (text: string) => changes.push(text));
  {
    await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT);
    await agent.ready();
    const { failures, resent, count, kept } = await load.stop();
    expect({ failures, resent }).toEqual({ failures: [], resent: 0 });
    expect(Math.min(count, kept)).toBeGreaterThan(0);
    console.log(`>> ${/"?first sync complete.*/.exec(agent.log)?.[0]}`);
  }
  await ended(monitor, "SIGTERM");
  const after = await many.connections();
  expect([...before].filter(([key, number]) => (after.get(key) ?? 0) < number)).toEqual([]);
  // Each IPv6 address is announced: the agent changes its lifetime, so that no process of the node chooses it as source.
  const lines = changes.join("").split("\n");
  expect(lines.filter((line) => line.includes("Deleted") || line.includes("10.101."))).toEqual([]);
  const now = await kubeProxy.state();
  expect(now.servers).toEqual(expect.arrayContaining([...servers]));
  expect(now.sets).toEqual(expect.arrayContaining([...sets]));
  expect(await kubeIpvs(node, "diff", ...flagsFor(node, manifests), ...NODE_PORTS_AT)).toMatchObject({
    code: 0,
    out: "",
  });
});
