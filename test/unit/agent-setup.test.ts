import { describe, expect, test } from "vitest";
import { ipsets } from "../../src/model/kernel/ipset.ts";
import { address } from "../support/objects/desired.ts";
import { NEAR, told } from "../support/worlds/hinted-service.ts";
import { RunningAgent } from "../support/worlds/running-agent.ts";

test("rules that could not be written are counted for their family at every resync, and the agent is unready if the family is used", async () => {
  await using agent = new RunningAgent({ failedRules: ["IPv6"] });
  const failures = async () => {
    const name = "kubeproxy_sync_proxy_rules_iptables_restore_failures_total";
    const values = (await agent.registry.getSingleMetric(name)?.get())?.values ?? [];
    return Object.fromEntries(values.map(({ labels: { ip_family }, value }) => [ip_family, value]));
  };
  expect(await failures()).toEqual({ IPv4: 0, IPv6: 0 });
  agent.listed("nodes");
  told(agent);
  await agent.rest();
  expect(await failures()).toEqual({ IPv4: 0, IPv6: 1 });
  // No Service uses IPv6 yet.
  expect(agent.isReady()).toBe(true);
  agent.service("shop/six", { ip: ["10.96.0.66", "fd00:96::66"] });
  await agent.rest(5_000);
  expect(await failures()).toEqual({ IPv4: 0, IPv6: 2 });
  expect(agent.unreadiness()).toBe("no rules of IPv6");
  expect(agent.notices).toEqual(["Node /n1: no rules of IPv6"]);
});

describe("rules that cannot be written for a long time, as while another program has the lock of iptables,", () => {
  test("delay Services for three seconds, keep the agent unready and are reported; it is ready at once when they are written", async () => {
    await using agent = new RunningAgent();
    const { promise, resolve } = Promise.withResolvers<void>();
    agent.kernel.rulesHeldUp = promise;
    told(agent);
    agent.node("a");
    agent.listed("nodes");
    await agent.rest(2_000);
    expect(agent.kernel.asked).toEqual([]);
    await agent.rest(2_000);
    expect(agent.kernel.ipvsadm().trim()).toBe(NEAR);
    expect(agent.unreadiness()).toContain("Cannot write the iptables rules of IPv4 within 3 s");
    for (let resyncs = 0; resyncs < 5; resyncs++) await agent.rest(40_000);
    expect(agent.kernel.rulesAsked).toBe(1);
    expect([agent.isAlive(), agent.isReady()]).toEqual([true, false]);
    expect(agent.notices).toHaveLength(2);
    expect(await agent.metric("kube_ipvs_node_problems")).toBe(2);
    resolve();
    await agent.rest();
    expect([agent.unreadiness(), await agent.metric("kube_ipvs_node_problems")]).toEqual([undefined, 0]);
  });

  test("are written with the rules that are desired by then", async () => {
    await using agent = new RunningAgent({ localMode: "NodeCIDR" });
    const { promise, resolve } = Promise.withResolvers<void>();
    agent.kernel.rulesHeldUp = promise;
    told(agent);
    agent.node("a", ["10.244.1.0/24"]);
    agent.listed("nodes");
    await agent.rest(20_000);
    agent.node("a", ["10.244.7.0/24"]);
    await agent.rest(20_000);
    expect(agent.kernel.rulesAsked).toBe(1);
    resolve();
    await agent.rest();
    expect(agent.kernel.rulesWanted.at(-1)).toContain("-s 10.244.7.0/24 -m mark --mark 0x0/0x1fff -j SET");
    expect(agent.isReady()).toBe(true);
  });
});

describe("a sysctl that is wrong and cannot be set", () => {
  const path = "net/ipv6/conf/all/forwarding";
  const wrong = (required: boolean) => ({ path, required, text: `${path} is 0` });
  const names = async (agent: RunningAgent) =>
    (await agent.registry.getSingleMetric("kube_ipvs_sysctl_wrong")?.get())?.values.flatMap(
      ({ labels: { name }, value }) => (value === 1 ? [name] : []),
    );

  test.each([
    ["that Services need, keeps the agent unready", true, `${path} is 0`],
    ["that Services do without, is reported alone", false, undefined],
  ])("%s, for however long, and it programs, lives and reports", async (_, required, reason) => {
    await using agent = new RunningAgent();
    agent.kernel.wrongSysctls = [wrong(required)];
    agent.kernel.warnings = [`${path} is 0`];
    told(agent);
    agent.node("a");
    agent.listed("nodes");
    await agent.rest(600_000);
    expect(agent.kernel.ipvsadm().trim()).toBe(NEAR);
    expect([agent.isAlive(), agent.unreadiness()]).toEqual([true, reason]);
    expect(await names(agent)).toEqual([path]);
    expect(await agent.metric("kube_ipvs_kernel_failures_total")).toBe(0);
    expect(agent.notices).toEqual([`Node /n1: ${path} is 0`]);
    agent.kernel.meddle({ kind: "unbind-address", binding: "address", address: address("10.96.0.10") });
    await agent.rest(60_000);
    expect(agent.kernel.asked.findLast(({ kind }) => kind !== "forget-flows")).toMatchObject({
      kind: "bind-address",
      address: "10.96.0.10",
    });
    agent.kernel.wrongSysctls = [];
    await agent.rest(60_000);
    expect(agent.isReady()).toBe(true);
    expect(await names(agent)).toEqual([]);
  });
});

test("sets that another program destroys are counted as repairs, and those of the first preparation are not", async () => {
  await using agent = new RunningAgent();
  told(agent);
  agent.node("a");
  agent.listed("nodes");
  await agent.rest(60_000);
  const repairs = async () => (await agent.registry.getSingleMetric("kube_ipvs_repairs_total")?.get())?.values;
  expect((await repairs())?.filter(({ value }) => value > 0)).toEqual([]);
  await agent.kernel.remove(["IPv4"]);
  await agent.rest(60_000);
  expect(await repairs()).toContainEqual({ labels: { object: "set" }, value: ipsets("IPv4").length });
  expect(await repairs()).toContainEqual({ labels: { object: "link" }, value: 1 });
});

test("a NodePort that may be a source port of the node is reported once, with its remedy", async () => {
  await using agent = new RunningAgent();
  const chosen = [{ first: 30_000, last: 60_999 }];
  agent.kernel.sourcePorts = { chosen, reserved: [] };
  agent.service("shop/web", { ip: "10.96.0.10", ports: [{ name: "http", port: 80, nodePort: 30_080 }] });
  agent.node("a");
  agent.listed("nodes", "services", "endpointslices");
  for (let resyncs = 0; resyncs < 5; resyncs++) await agent.rest(40_000);
  expect(agent.notices).toEqual([expect.stringContaining("sysctl -w net.ipv4.ip_local_reserved_ports=30080")]);
  expect([agent.isReady(), await agent.metric("kube_ipvs_node_problems")]).toEqual([true, 1]);
  agent.kernel.sourcePorts = { chosen, reserved: [{ first: 30_000, last: 32_767 }] };
  await agent.rest(40_000);
  expect(await agent.metric("kube_ipvs_node_problems")).toBe(0);
});

test("while kube-proxy's iptables mode serves, its rules are replaced right after the first sync, and not before", async () => {
  await using agent = new RunningAgent();
  agent.kernel.servesByIptables = true;
  await agent.rest(200_000);
  agent.listed("nodes");
  told(agent);
  await agent.rest();
  const order = agent.kernel.steps.filter((step) => /^[rS]/.test(step));
  const count = order.findIndex((step) => step !== "rules deferred");
  expect(count).toBeGreaterThan(1);
  expect(new Set(order.slice(count, -1))).toEqual(new Set(["Services"]));
  expect(order.at(-1)).toBe("rules written");
  expect(agent.log.filter((line) => line.includes("iptables mode serves"))).toHaveLength(1);
});
