import { expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode } from "../../support/node/kube-proxy-node.ts";
import { TestNode } from "../../support/node/netns.ts";
import { NODE_PORTS_AT, NodeLoad, TAKEN_OVER_PODS, TAKEN_OVER_PORTS } from "../../support/node/node-load.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/** A node has the leftovers of several modes of kube-proxy, and then a second proxy beside the agent. */

/** Chains that only the iptables mode has, and the jumps of its table filter. */
const IPTABLES_MODE = /KUBE-(SVC|SVL|SEP|EXT|FW)-|KUBE-NODEPORTS|KUBE-EXTERNAL-SERVICES|KUBE-PROXY-CANARY/;

test("leftovers of the modes ipvs and iptables at once are taken over and removed, and the kubelet's chains stay", {
  timeout: patient(120_000),
}, async () => {
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: TAKEN_OVER_PORTS });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  await kubeProxy.layOut();
  await kubeProxy.layOutIptablesMode();
  await kubeProxy.putObjects(manifests);
  await node.prints("iptables -t mangle -N KUBE-KUBELET-CANARY");
  {
    await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT, "--ipvs-sync-period", "2s");
    await agent.ready();
    await eventually(async () => {
      expect(await node.prints("iptables-save; ip6tables-save")).not.toMatch(IPTABLES_MODE);
    });
    const load = await NodeLoad.begin(node);
    const seen = await load.stop();
    expect(seen.flatMap(({ failures }) => failures)).toEqual([]);
    expect(agent.log).not.toContain("another service proxy");
  }
  const rules = await node.prints("iptables-save");
  expect(rules).toContain(":KUBE-KUBELET-CANARY");
  expect(rules).toContain(":KUBE-FIREWALL");
  expect(rules).not.toMatch(/^-A (INPUT|FORWARD|OUTPUT) .*--ctstate NEW .*-j KUBE-PROXY-FIREWALL$/m);
  expect(await kubeIpvs(node, "diff", ...flagsFor(node, manifests), ...NODE_PORTS_AT)).toEqual({
    code: 0,
    out: "",
    err: "",
  });
});

test("a kube-proxy that syncs beside the agent is reported once with its mode, and Services answer", {
  timeout: patient(120_000),
}, async () => {
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: TAKEN_OVER_PORTS });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  await kubeProxy.putObjects(manifests);
  await kubeProxy.layOut();
  await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT, "--ipvs-sync-period", "2s");
  await agent.ready();
  const load = await NodeLoad.begin(node);
  for (let sync = 1; sync <= 2; sync++) {
    await kubeProxy.firstSync();
    await agent.logged("another service proxy works on this node");
    // The agent repairs what the other one has changed.
    await eventually(async () =>
      expect(await node.prints("iptables-save -t nat")).toContain(
        "--match-set KUBE-NODE-PORT-IPS dst -j KUBE-NODE-PORT",
      ),
    );
  }
  expect(agent.log.split("another service proxy works on this node")).toHaveLength(2);
  expect(agent.log).toContain("kube-proxy in ipvs mode works on this node besides kube-ipvs");
  expect((await agent.metrics()).get("kube_ipvs_other_proxies")).toBe(1);
  const seen = await load.stop();
  expect(seen.flatMap(({ failures }) => failures)).toEqual([]);
});

test("two agents of different configurations report each other once, do not fight for ever, and the one that stays repairs all", {
  timeout: patient(120_000),
}, async () => {
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: TAKEN_OVER_PORTS });
  await using manifests = await ManifestFolder.create();
  await new KubeProxyNode(node).putObjects(manifests);
  const quick = [...NODE_PORTS_AT, "--ipvs-sync-period", "1s"];
  await using first = AgentProcess.start(node, manifests, ...quick);
  await first.ready();
  const load = await NodeLoad.begin(node);
  {
    const servers = ["--healthz-bind-address", "127.0.0.1:11256", "--metrics-bind-address", "127.0.0.1:11249"];
    const others = [...servers, "--state-socket=", "--ipvs-scheduler", "wrr", "--masquerade-all"];
    await using second = AgentProcess.start(node, manifests, ...quick, ...others);
    await Promise.all([first, second].map((agent) => agent.logged("another service proxy works on this node")));
    await eventually(() => expect(sharedWrites([first, second])).toBeGreaterThan(4));
    await eventually(async () => expect((await first.metrics()).get("kube_ipvs_other_proxies")).toBe(1));
    for (const { log } of [first, second]) {
      expect(log.split("another service proxy works on this node")).toHaveLength(2);
      expect(log).toMatch(/kube-ipvs \S+ \(process \d+\) works on this node besides kube-ipvs/);
    }
    // Twenty periods of both with two families and two tables would be 160 writes.
    await node.prints("sleep 20");
    expect(sharedWrites([first, second])).toBeLessThan(60);
  }
  const seen = await load.stop();
  expect(seen.flatMap(({ failures }) => failures)).toEqual([]);
  await eventually(
    async () =>
      expect(await kubeIpvs(node, "diff", ...flagsFor(node, manifests), ...NODE_PORTS_AT)).toEqual({
        code: 0,
        out: "",
        err: "",
      }),
    { withinMs: 40_000, everyMs: 2_000 },
  );
});

/** How many tables the agents have written. */
function sharedWrites(agents: readonly AgentProcess[]): number {
  return agents.reduce((sum, { log }) => sum + log.split("wrote table").length - 1, 0);
}
