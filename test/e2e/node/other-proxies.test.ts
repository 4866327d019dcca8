import { expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode } from "../../support/node/kube-proxy-node.ts";
import { TestNode } from "../../support/node/netns.ts";
import { NODE_PORTS_AT, NodeLoad, TAKEN_OVER_PODS } from "../../support/node/node-load.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/** A node has the leftovers of several modes of kube-proxy, and then a second proxy beside the agent. */

const PORTS = ["tcp:8080", "tcp:9443", "udp:7777"];
/** Chains that only the iptables mode has, and the jumps of its table filter. */
const IPTABLES_MODE = /KUBE-(SVC|SVL|SEP|EXT|FW)-|KUBE-NODEPORTS|KUBE-EXTERNAL-SERVICES|KUBE-PROXY-CANARY/;

test("leftovers of the modes ipvs and iptables at once are taken over and removed, and the kubelet's chains stay", {
  timeout: patient(120_000),
}, async () => {
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: PORTS });
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
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: PORTS });
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
