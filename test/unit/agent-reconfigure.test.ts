import { describe, expect, test } from "vitest";
import { realServerKey, virtualServerKey } from "../../src/model/kernel/ipvs.ts";
import { address } from "../support/objects/desired.ts";
import { RunningAgent } from "../support/worlds/running-agent.ts";

const IP = "10.96.0.10";

/** An agent that serves a Service of two endpoints with a NodePort. */
async function serving(): Promise<RunningAgent> {
  const agent = new RunningAgent({ nodeAddresses: ["192.168.1.10", "172.16.0.1"] });
  agent.node("a", [], ["192.168.1.10"]);
  agent.slice("shop/web-1", { endpoints: ["10.244.1.5", "10.244.1.6"].map((ip) => ({ ip, ready: true })) });
  agent.service("shop/web", { ip: IP, ports: [{ port: 80, nodePort: 30080 }] });
  agent.listed("nodes", "endpointslices", "services");
  await agent.rest();
  return agent;
}

const virtualServers = (agent: RunningAgent) =>
  agent.kernel
    .ipvsadm()
    .split("\n")
    .filter((line) => line.startsWith("-A"));

describe("a live change of the configuration", () => {
  test("of the scheduler changes the virtual servers in place", async () => {
    await using agent = await serving();
    agent.kernel.asked.length = 0;
    agent.reconfigure({ scheduler: "wlc" });
    await agent.rest();
    expect(virtualServers(agent)).toContain(`-A -t ${IP}:80 -s wlc`);
    expect(new Set(agent.kernel.asked.map(({ kind }) => kind))).toEqual(new Set(["update-virtual-server"]));
  });

  test("of the NodePort addresses removes and adds virtual servers", async () => {
    await using agent = await serving();
    const both = ["-A -t 172.16.0.1:30080 -s rr", "-A -t 192.168.1.10:30080 -s rr"];
    expect(virtualServers(agent)).toEqual(expect.arrayContaining(both));
    agent.reconfigure({ nodePortAddresses: "primary" });
    await agent.rest();
    expect(virtualServers(agent)).not.toContain(both[0]);
    expect(virtualServers(agent)).toContain(both[1]);
    agent.reconfigure({ nodePortAddresses: "primary", bindAddress: "172.16.0.1" });
    await agent.rest();
    expect(virtualServers(agent)).toContain(both[0]);
    expect(virtualServers(agent)).not.toContain(both[1]);
  });

  test("of rules and sysctls prepares the node at once", async () => {
    await using agent = await serving();
    const prepared = agent.kernel.sysctls.length;
    agent.reconfigure({ clusterCidrs: "10.244.0.0/16", strictArp: "true" });
    await agent.rest();
    expect(agent.kernel.sysctls.length).toBeGreaterThan(prepared);
    expect(agent.kernel.sysctls.at(-1)).toContain("net/ipv4/conf/all/arp_ignore");
    expect(agent.kernel.rulesWanted.at(-1)).toContain("10.244.0.0/16");
  });

  test("of the sync period applies to the next resync and to health", async () => {
    await using agent = await serving();
    agent.reconfigure({ syncPeriodMs: "5s" });
    await agent.rest();
    const prepared = agent.kernel.sysctls.length;
    await agent.rest(6_000);
    expect(agent.kernel.sysctls.length).toBe(prepared + 1);
    agent.reconfigure({ syncPeriodMs: "10m" });
    await agent.rest();
    const later = agent.kernel.sysctls.length;
    await agent.rest(60_000);
    expect(agent.kernel.sysctls.length).toBe(later);
  });

  test("of the drain timeout applies to real servers that drain already", async () => {
    await using agent = await serving();
    const server = virtualServerKey("TCP", address(IP), 80);
    agent.kernel.setConnections(server, realServerKey(address("10.244.1.5"), 8080), { active: 1, inactive: 0 });
    agent.slice("shop/web-1", { endpoints: [{ ip: "10.244.1.6", ready: true }] });
    await agent.rest(20_000);
    expect(agent.kernel.ipvsadm()).toContain(`-a -t ${IP}:80 -r 10.244.1.5:8080 -m -w 0`);
    agent.reconfigure({ drainTimeoutMs: "10s" });
    await agent.rest(10_000);
    expect(agent.kernel.ipvsadm()).not.toContain("10.244.1.5");
  });
});
