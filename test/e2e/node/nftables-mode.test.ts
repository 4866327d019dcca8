import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode } from "../../support/node/kube-proxy-node.ts";
import { TestNode } from "../../support/node/netns.ts";
import { NODE_PORTS_AT, NodeLoad, TAKEN_OVER_PODS, TAKEN_OVER_PORTS } from "../../support/node/node-load.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/**
 * A node is taken over from a kube-proxy in nftables mode. The nf_tables of User Mode Linux has no tables for IPv4: there the
 * test shows only that the agent and its commands do without. `KUBE_IPVS_KERNEL=qemu-6.12` has all.
 */

const LEFT = ["IPv4", "IPv6"].map((family) => `kube-proxy's nftables mode has left table "kube-proxy" of ${family}`);
const TABLES = ["IPv4", "IPv6"].map((family) => `nftables table "kube-proxy" of ${family}`);

const shell = (script: string) => execFileSync("sh", ["-c", script], { stdio: "ignore" });
// In a guest nothing loads by itself. The module leaves again, for with it a node has two backends of iptables.
beforeAll(() => shell("modprobe -d /run/modules nf_tables || modprobe nf_tables"));
afterAll(() => shell("rmmod nf_tables || true"));

test("the tables serve until the first sync, are a difference before and are removed after it, and by cleanup", {
  timeout: patient(150_000),
}, async () => {
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports: TAKEN_OVER_PORTS });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  await kubeProxy.putObjects(manifests);
  await node.prints("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  await node.prints(`ip route add default via ${node.outside.ip}; ip route add default via ${node.outside.ip6}`);
  const hasTables = await kubeProxy.layOutNftablesMode();
  const left = hasTables ? LEFT : [];
  const removed = hasTables ? TABLES.map((table) => `removed ${table}`) : [];
  const load = hasTables ? await NodeLoad.begin(node) : undefined;
  const command = [...flagsFor(node, manifests), ...NODE_PORTS_AT];
  const before = await kubeIpvs(node, "diff", ...command);
  expect(before.out.match(/kube-proxy's nftables mode .*/g) ?? []).toEqual(left);
  {
    await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT, "--ipvs-sync-period", "2s");
    await agent.ready();
    await eventually(async () => expect(await node.prints("nft list tables || true")).not.toContain("kube-proxy"), {
      withinMs: 30_000,
      everyMs: 500,
    });
    expect(agent.log.split("removed nftables table")).toHaveLength(removed.length + 1);
    expect(agent.log).not.toContain("another service proxy");
  }
  expect(await kubeIpvs(node, "diff", ...command)).toEqual({ code: 0, out: "", err: "" });
  const seen = (await load?.stop()) ?? [];
  expect(seen.flatMap(({ failures }) => failures)).toEqual([]);
  console.log(
    `>> the tables served ${seen.reduce((sum, { count }) => sum + count, 0)} new connections and were replaced`,
  );

  await kubeProxy.layOutNftablesMode();
  const cleaned = await kubeIpvs(node, "cleanup", ...command);
  expect(cleaned).toMatchObject({ code: 0, err: "" });
  for (const line of removed) expect(cleaned.out).toContain(line);
  expect(await node.prints("nft list tables || true")).not.toContain("kube-proxy");
});
