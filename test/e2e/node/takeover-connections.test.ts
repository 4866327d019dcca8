import { expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode, RECORDED_FRONTENDS } from "../../support/node/kube-proxy-node.ts";
import { TestNode } from "../../support/node/netns.ts";
import { NODE_PORTS_AT } from "../../support/node/node-load.ts";
import { patient } from "../../support/time/patience.ts";

/** Single connections that a recording of kube-proxy cannot hold, at a takeover and at a rollback. */

const TIMEOUT_MS = patient(120_000);
const [clusterIP = ""] = RECORDED_FRONTENDS.clusterIPs;

test("a real server that a kube-proxy drained keeps its connection at weight 0, and one that is desired gets weight 1", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using node = await TestNode.create({ pods: ["a", "b", "c", "old", "client"], ports: ["tcp:8080"] });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  await kubeProxy.layOut();
  await kubeProxy.putObjects(manifests);
  const server = `-t ${clusterIP}:80`;
  const real = (pod: string) => `-r ${node.pod(pod).ip}:8080`;
  const weighed = async () => (await node.prints("ipvsadm -Sn")).split("\n").filter((line) => line.includes(server));
  // Only the old pod gets the connection.
  await node.prints(
    [
      ...["a", "b", "c"].map((pod) => `ipvsadm -e ${server} ${real(pod)} -m -w 0`),
      `ipvsadm -a ${server} ${real("old")} -m -w 1`,
    ].join("\n"),
  );
  const client = node.client(node.pod("client"));
  expect((await client.open(clusterIP, 80)).answers).toEqual({ old: 1 });
  await node.prints(
    [`ipvsadm -e ${server} ${real("old")} -m -w 0`, `ipvsadm -e ${server} ${real("a")} -m -w 1`].join("\n"),
  );

  await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT);
  await agent.ready();
  expect((await client.again()).answers).toEqual({ old: 1 });
  expect((await weighed()).toSorted()).toEqual(
    [
      `-A ${server} -s rr`,
      ...["a", "b", "c"].map((pod) => `-a ${server} ${real(pod)} -m -w 1`),
      `-a ${server} ${real("old")} -m -w 0`,
    ].toSorted(),
  );
  // What drains is no difference.
  expect(await kubeIpvs(node, "diff", ...flagsFor(node, manifests), ...NODE_PORTS_AT)).toEqual({
    code: 0,
    out: "",
    err: "",
  });
});

test("a connection to a virtual server by mark survives rollback and the sync of kube-proxy, and is printed", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using node = await TestNode.create({ pods: ["a", "b", "c", "far", "client"], ports: ["tcp:8080"] });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  await kubeProxy.layOut();
  await kubeProxy.putObjects(manifests);
  const client = node.client(node.pod("client"));
  {
    await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT);
    await agent.ready();
    // The load balancer of a Service with the external policy Local.
    expect((await client.open("198.51.100.34", 80)).answers).toEqual({ far: 1 });
  }
  const { code, out, err } = await kubeIpvs(node, "rollback", ...flagsFor(node, manifests), ...NODE_PORTS_AT);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^kept virtual server "FWM\/IPv4\/\d+": it has 1 connections?\. Run rollback again/m);
  expect((await client.again()).answers).toEqual({ far: 1 });
  await kubeProxy.firstSync();
  expect((await client.again()).answers).toEqual({ far: 1 });
});
