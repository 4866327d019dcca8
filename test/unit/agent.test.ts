import { expect, test } from "vitest";
import { address } from "../support/objects/desired.ts";
import { NEAR, told } from "../support/worlds/hinted-service.ts";
import { RunningAgent } from "../support/worlds/running-agent.ts";

const ALL = `${NEAR}\n-a -t 10.96.0.10:80 -r 10.244.2.5:8080 -m -w 1`;

test("Services wait for the Node, so that no connection leaves its zone (G-44)", async () => {
  await using agent = new RunningAgent();
  told(agent);
  await agent.rest(1_000);
  expect(agent.kernel.asked).toEqual([]);
  expect(agent.isReady()).toBe(false);
  agent.node("a");
  agent.listed("nodes");
  await agent.rest();
  expect(agent.kernel.ipvsadm().trim()).toBe(NEAR);
  expect(JSON.stringify(agent.kernel.asked)).not.toContain("10.244.2.5");
  expect(agent.isReady()).toBe(true);
});

test("a list of Nodes without this one delays no Service", async () => {
  await using agent = new RunningAgent();
  agent.listed("nodes");
  told(agent);
  await agent.rest();
  expect(agent.kernel.ipvsadm().trim()).toBe(ALL);
});

test("a list of Nodes that never arrives delays Services for at most a minute", async () => {
  await using agent = new RunningAgent();
  told(agent);
  await agent.rest(60_000);
  expect(agent.kernel.ipvsadm().trim()).toBe(ALL);
});

test("nothing is programmed before the node's own addresses are read", async () => {
  await using agent = new RunningAgent({ unreadable: 3 });
  agent.service("shop/thief", { ip: "192.168.1.10" });
  agent.listed("nodes");
  told(agent);
  await agent.rest(600_000);
  expect(agent.kernel.ipvsadm().trim()).toBe(ALL);
  const taken = agent.kernel.asked.filter((one) => !("entry" in one && one.entry.set.base === "KUBE-NODE-PORT-IPS"));
  expect(JSON.stringify(taken)).not.toContain("192.168.1.10");
});

test("the health check of a Service answers when the Service is programmed; health checks are reported only when they change", async () => {
  await using agent = new RunningAgent();
  const checked = (pods: readonly string[]) =>
    agent.slice("shop/web-1", { endpoints: pods.map((ip) => ({ ip, node: "n1" })) });
  agent.service("shop/web", {
    ip: "10.96.0.10",
    type: "LoadBalancer",
    external: "Local",
    healthCheckNodePort: 32_000,
  });
  checked(["10.244.1.5"]);
  agent.listed("nodes", "services");
  await agent.rest();
  expect(agent.checks).toEqual([]);
  agent.listed("endpointslices");
  await agent.rest();
  const counts = () => agent.checks.map((all) => all.map(({ localEndpoints }) => [...localEndpoints]));
  expect(counts()).toEqual([[[["0.0.0.0", 1]]]]);
  expect(agent.kernel.ipvsadm()).toContain("10.244.1.5:8080");
  checked([]);
  agent.service("shop/other", { ip: "10.96.0.11" });
  await agent.rest();
  expect(counts()).toEqual([[[["0.0.0.0", 1]]], [[["0.0.0.0", 0]]]]);
});

test("a booting node programs the API server, DNS and the Services of its own pods before all others", async () => {
  await using agent = new RunningAgent();
  for (let number = 0; number < 600; number++) {
    const name = `shop/s${number}`;
    agent.service(name, { ip: `10.97.${number >> 8}.${number & 255}` });
    agent.slice(`${name}-1`, { endpoints: [{ ip: "10.244.2.5", node: "n2" }] });
  }
  agent.service("shop/here", { ip: "10.96.0.3" });
  agent.slice("shop/here-1", { endpoints: [{ ip: "10.244.1.5", node: "n1" }] });
  agent.service("kube-system/kube-dns", { ip: "10.96.0.2", ports: [{ port: 53, protocol: "UDP" }] });
  agent.service("default/kubernetes", { ip: "10.96.0.1", ports: [443] });
  agent.listed("nodes", "endpointslices", "services");
  await agent.rest();
  const { asked } = agent.kernel;
  const made = asked.flatMap((operation) => (operation.kind === "add-virtual-server" ? [operation.server.key] : []));
  expect(made.slice(0, 3)).toEqual(["TCP/10.96.0.1:443", "UDP/10.96.0.2:53", "TCP/10.96.0.3:80"]);
  expect(made).toHaveLength(603);
  // It is complete, including its address, while most others have not begun.
  const bound = asked.findIndex((operation) => operation.kind === "bind-address" && operation.address === "10.96.0.3");
  const later = asked.findIndex(
    (operation) => operation.kind === "add-virtual-server" && operation.server.key === "TCP/10.97.1.0:80",
  );
  expect(bound).toBeGreaterThan(0);
  expect(bound).toBeLessThan(later);
});

test("a scheduler that the kernel lacks is replaced at once, and the Service gets an Event", async () => {
  await using agent = new RunningAgent({ lacks: "lc" });
  const annotations = { "kube-ipvs.io/scheduler": "lc" };
  agent.listed("nodes");
  agent.service("shop/other", { ip: "10.96.0.11", annotations });
  told(agent);
  await agent.rest();
  expect(agent.kernel.ipvsadm().trim()).toBe(`${ALL}\n-A -t 10.96.0.11:80 -s rr`);
  expect(agent.notices).toEqual([
    expect.stringMatching(
      /^Service shop\/other: .*"lc" is not available as IPVS scheduler in this kernel: rr is used instead/,
    ),
  ]);
  agent.service("shop/third", { ip: "10.96.0.12", annotations });
  const asked = agent.kernel.asked.length;
  await agent.rest(600_000);
  expect(JSON.stringify(agent.kernel.asked.slice(asked))).not.toContain('"lc"');
  expect(agent.isReady()).toBe(true);
});

test("a VIP that another program removes is bound again within a second", async () => {
  await using agent = new RunningAgent();
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest(1_000);
  agent.kernel.meddle({ kind: "unbind-address", binding: "address", address: address("10.96.0.10") });
  await agent.rest(20);
  expect(agent.kernel.addresses()).toEqual([]);
  agent.onAddressChange("vanished", "kube-ipvs0", "10.96.0.10");
  await agent.rest(20);
  expect(agent.kernel.addresses()).toEqual(["10.96.0.10"]);
});

test.each([
  ["2 s ago", -2_000, 2],
  ["2 h in the future, by this node's clock", 7_200_000, 0],
])("a change that was made %s (%d ms) has a latency of %d s", async (_name, madeMs, seconds) => {
  await using agent = new RunningAgent();
  told(agent);
  agent.listed("nodes");
  await agent.rest(5_000);
  const made = new Date(agent.clock.date().getTime() + madeMs).toISOString();
  const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": made };
  agent.slice("shop/web-1", { endpoints: ["10.244.3.5"], annotations });
  // Setting the wall clock before the kernel is programmed changes no latency.
  agent.clock.stepWall(3_600_000);
  await agent.rest();
  const text = await agent.registry.metrics();
  const ofIPv4 = (what: string) => `kubeproxy_network_programming_duration_seconds_${what}{ip_family="IPv4"}`;
  expect(text).toContain(`${ofIPv4("count")} 1\n`);
  expect(text).toContain(`${ofIPv4("sum")} ${seconds}\n`);
});

test("a bug in a call of the kernel ends the agent, and is logged", async () => {
  const agent = new RunningAgent();
  const ended = expect(agent.ended).rejects.toThrow("undefined is not a function");
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.kernel.onRequest = () => {
    throw new TypeError("undefined is not a function");
  };
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest(1_000);
  await ended;
  const start = 'error kube-ipvs ends because of a bug {"err":"undefined is not a function","stack":';
  expect(agent.log.filter((line) => line.startsWith(start))).toHaveLength(1);
});

test("Services whose clients are dropped without a local endpoint are counted by a metric", async () => {
  await using agent = new RunningAgent();
  const shown = async () =>
    (await agent.registry.metrics())
      .split("\n")
      .filter((line) => /^kubeproxy_sync_proxy_rules_no_local_endpoints_total.* [1-9]/.test(line));
  const series = (policy: string) =>
    `kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="${policy}"} 1`;
  agent.service("shop/web", { ip: "10.96.0.10", internal: "Local", external: "Local", externalIPs: ["203.0.113.1"] });
  agent.slice("shop/web-1", { endpoints: [{ ip: "10.244.3.5", node: "n3", ready: true }] });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest();
  expect(await shown()).toEqual([series("internal"), series("external")]);
  agent.slice("shop/web-1", { endpoints: [{ ip: "10.244.1.5", node: "n1", ready: true }] });
  await agent.rest();
  expect(await shown()).toEqual([]);
});
