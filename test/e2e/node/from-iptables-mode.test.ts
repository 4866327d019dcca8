import { expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode } from "../../support/node/kube-proxy-node.ts";
import { TestNode } from "../../support/node/netns.ts";
import { NODE_PORTS_AT, NodeLoad, TAKEN_OVER_PODS, TAKEN_OVER_PORTS } from "../../support/node/node-load.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/** A node is taken over from a kube-proxy in iptables mode, whose rules serve until the virtual servers exist. */

const SERVING = /-j KUBE-(SVC|EXT)-/;

test("a takeover from the iptables mode under load loses no request and no connection, also while the API server is away", {
  timeout: patient(150_000),
}, async () => {
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: TAKEN_OVER_PORTS });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  await kubeProxy.layOutIptablesMode();
  await node.prints("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  // As nodes have them: their processes need a route to a ClusterIP that is no local address yet.
  await node.prints(`ip route add default via ${node.outside.ip}; ip route add default via ${node.outside.ip6}`);
  await kubeProxy.putObjects(manifests);
  const load = await NodeLoad.begin(node);
  const rules = () => node.prints("iptables-save -t nat; ip6tables-save -t nat");
  {
    await using agent = AgentProcess.start(node, { flags: ["--master", "http://127.0.0.1:1"] }, ...NODE_PORTS_AT);
    await agent.logged("kube-proxy's iptables mode serves until the Services are programmed");
    expect(await rules()).toMatch(SERVING);
  }
  await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT);
  await agent.ready();
  // At once, and not after a sync period.
  await eventually(async () => expect(await rules()).not.toMatch(SERVING), { withinMs: 5_000, everyMs: 100 });
  for (const to of [node.node.ip, node.node.ip6]) await node.client(node.outside).tcp(to, 31_080, 40);
  const seen = await load.stop();
  expect(seen.map(({ failures, resent }) => ({ failures, resent }))).toEqual(
    seen.map(() => ({ failures: [], resent: 0 })),
  );
  expect(await kubeIpvs(node, "diff", ...flagsFor(node, manifests), ...NODE_PORTS_AT)).toEqual({
    code: 0,
    out: "",
    err: "",
  });
});
