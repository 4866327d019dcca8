import { describe, expect, test } from "vitest";
import { ipset, portEntry } from "../../src/model/kernel/ipset.ts";
import { type Scheduler, virtualServer } from "../../src/model/kernel/ipvs.ts";
import { address } from "../support/objects/desired.ts";
import { told } from "../support/worlds/hinted-service.ts";
import { RunningAgent } from "../support/worlds/running-agent.ts";

describe("packets of IPv6 are forwarded", () => {
  const forwards = (agent: RunningAgent) =>
    agent.kernel.sysctls.map((paths) => paths.filter((path) => path.includes("ipv6")).length);
  const ways: readonly [string, (agent: RunningAgent) => void][] = [
    ["a Service has a cluster IP", (agent) => agent.service("shop/six", { ip: ["10.96.0.66", "fd00:96::66"] })],
    ["the Node has an address", (agent) => agent.node("a", [], ["192.168.1.10", "2001:db8::10"])],
    ["the Node has a network of pods", (agent) => agent.node("a", ["fd00:244::/64"])],
  ];

  test("never on a node of a cluster with IPv4 alone, even if its interfaces have IPv6", async () => {
    await using agent = new RunningAgent({ nodeAddresses: ["192.168.1.10", "2001:db8::10"] });
    told(agent);
    agent.node("a", ["10.244.1.0/24"]);
    agent.listed("nodes");
    await agent.rest(100_000);
    expect(forwards(agent).length).toBeGreaterThan(1);
    expect(new Set(forwards(agent))).toEqual(new Set([0]));
  });

  test.each(ways)("as soon as %s of IPv6, before anything is programmed for it", async (_, use) => {
    await using agent = new RunningAgent();
    told(agent);
    agent.node("a");
    agent.listed("nodes");
    await agent.rest();
    expect(forwards(agent)).toEqual([0]);
    const asked = agent.kernel.asked.length;
    use(agent);
    await agent.rest(5_000);
    expect(forwards(agent)).toEqual([0, 1]);
    const steps = agent.kernel.steps.slice(agent.kernel.steps.findLastIndex((step) => step !== "Services"));
    expect(steps.includes("Services")).toBe(agent.kernel.asked.length > asked);
  });
});

test("in the mode NodeCIDR the rules have the Node's pod network before any Service is programmed, and follow its changes", async () => {
  await using agent = new RunningAgent({ localMode: "NodeCIDR" });
  await agent.rest();
  told(agent);
  agent.node("a", ["10.244.1.0/24"]);
  agent.listed("nodes");
  await agent.rest();
  const { steps } = agent.kernel;
  const [last = ""] = steps.slice(0, steps.indexOf("Services")).slice(-1);
  expect(last).toContain("-s 10.244.1.0/24 -m mark");
  agent.node("a", ["10.244.7.0/24"]);
  await agent.rest();
  expect(steps.at(-1)).toContain("-s 10.244.7.0/24 -m mark");
  // A deleted Node does not change the pod network.
  agent.nodeGone();
  await agent.rest(60_000);
  expect(steps.at(-1)).toContain("-s 10.244.7.0/24 -m mark");
});

test("in other modes a change of the Node's pod network causes no resync", async () => {
  await using agent = new RunningAgent();
  await agent.rest();
  told(agent);
  agent.node("a", ["10.244.1.0/24"]);
  agent.listed("nodes");
  await agent.rest();
  expect(agent.kernel.steps.filter((step) => step !== "Services")).toHaveLength(1);
});

test("health checks fail on a node whose Node was deleted, and not on a node that never had one (G-45)", async () => {
  await using agent = new RunningAgent();
  agent.listed("nodes");
  told(agent);
  await agent.rest();
  expect(agent.isHealthy()).toBe(true);
  agent.node("a");
  expect(agent.isHealthy()).toBe(true);
  agent.nodeGone();
  expect(agent.isHealthy()).toBe(false);
  agent.node("a");
  expect(agent.isHealthy()).toBe(true);
});

test("a new address of the node serves NodePorts at once, and a removed one none", async () => {
  await using agent = new RunningAgent();
  agent.service("shop/web", { ip: "10.96.0.10", ports: [{ port: 80, nodePort: 30_080 }] });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest();
  agent.addresses("192.168.1.10", "192.168.1.11");
  agent.onAddressChange("appeared", "eth0", "192.168.1.11");
  await agent.rest(20);
  expect(agent.kernel.ipvsadm()).toContain("-t 192.168.1.11:30080");
  agent.addresses("192.168.1.11");
  agent.onAddressChange("vanished", "eth0", "192.168.1.10");
  agent.onAddressChange("vanished", "eth0", "192.168.1.99");
  await agent.rest(20);
  expect(agent.kernel.ipvsadm()).not.toContain("192.168.1.10");
});

test("address changes that cannot be handled are left to the next resync", async () => {
  await using agent = new RunningAgent();
  agent.service("shop/web", { ip: "10.96.0.10", ports: [{ port: 80, nodePort: 30_080 }] });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest();
  agent.addresses("192.168.1.11");
  agent.kernel.failReads(1);
  agent.onAddressChange();
  await agent.rest(20);
  expect(agent.kernel.ipvsadm()).toContain("-t 192.168.1.10:30080");
  await agent.rest(60_000);
  expect(agent.kernel.ipvsadm()).toContain("-t 192.168.1.11:30080");
});

test("a node name without a Node is reported after the list of Nodes, and by a metric", async () => {
  await using agent = new RunningAgent({ manifests: "" });
  agent.listed("nodes");
  await agent.rest();
  expect(agent.notices).toEqual([expect.stringMatching(/^Node \/n1: no Node is named "n1", .*: set --node-name/)]);
  expect(await agent.registry.metrics()).toContain("\nkube_ipvs_node_found 0\n");
});

describe("the set of NodePort addresses", () => {
  const members = (agent: RunningAgent) => agent.kernel.members().filter((text) => text.includes("NODE-PORT-IPS"));

  test("is filled before the rules that match it, before any list arrives and anything else is written", async () => {
    await using agent = new RunningAgent({ nodeAddresses: ["192.168.1.10", "fd01::10"], manifests: "" });
    await agent.rest();
    expect(agent.kernel.asked).toEqual([]);
    expect(members(agent)).toEqual(["KUBE-6-NODE-PORT-IPS fd01::10", "KUBE-NODE-PORT-IPS 192.168.1.10"]);
  });

  test("is maintained by syncs afterwards, so that a new address of the node is no drift", async () => {
    await using agent = new RunningAgent({ nodeAddresses: ["192.168.1.10"] });
    agent.listed("nodes");
    told(agent);
    await agent.rest();
    agent.addresses("192.168.1.10", "192.168.1.11");
    await agent.rest(60_000);
    expect(members(agent)).toEqual(["KUBE-NODE-PORT-IPS 192.168.1.10", "KUBE-NODE-PORT-IPS 192.168.1.11"]);
    expect(agent.log.filter((line) => line.includes("changed by others"))).toEqual([]);
  });

  test("proves to the first sync which virtual servers of a kube-proxy must be deleted", async () => {
    await using agent = new RunningAgent({ nodeAddresses: ["192.168.1.10"] });
    const left = virtualServer("TCP", address("192.168.1.10"), 30_080, { scheduler: "rr" as Scheduler }); // any word will do
    await agent.kernel.prepare({ families: ["IPv4"], rules: {}, sysctls: [] });
    agent.kernel.meddle({ kind: "add-virtual-server", server: left });
    agent.kernel.meddle({ kind: "add-entry", entry: portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 30_080) });
    agent.listed("nodes", "services", "endpointslices");
    await agent.rest();
    expect(agent.kernel.ipvsadm()).toBe("");
    expect(agent.kernel.members()).toEqual(["KUBE-NODE-PORT-IPS 192.168.1.10"]);
  });
});
