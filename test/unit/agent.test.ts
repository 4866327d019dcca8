import { describe, expect, test } from "vitest";
import { ipset, ipsets, portEntry } from "../../src/model/kernel/ipset.ts";
import { type Scheduler, virtualServer } from "../../src/model/kernel/ipvs.ts";
import type { SliceSpec } from "../support/objects/builders.ts";
import { address } from "../support/objects/desired.ts";
import { RunningAgent } from "../support/worlds/running-agent.ts";

const HINTED: SliceSpec = {
  endpoints: [
    { ip: "10.244.1.5", ready: true, zones: ["a"] },
    { ip: "10.244.2.5", ready: true, node: "n2", zones: ["b"] },
  ],
};

function told(agent: RunningAgent): void {
  agent.slice("shop/web-1", HINTED);
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.listed("endpointslices", "services");
}

const NEAR = "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1";
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
    agent.kernel.meddle({ kind: "unbind-address", address: address("10.96.0.10") });
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

describe("a repeated failure is reported when it begins and when it ends:", () => {
  const RESYNC_MS = 40_000;

  test("a warning of the node, by log and Event; a warning that changes is reported again", async () => {
    await using agent = new RunningAgent();
    const reports = () => agent.log.filter((line) => line.includes("node preparation"));
    agent.kernel.warnings = ["Cannot set a"];
    for (let resyncs = 0; resyncs < 5; resyncs++) await agent.rest(RESYNC_MS);
    expect(reports()).toEqual(['warn node preparation failed {"warning":"Cannot set a"}']);
    expect(agent.notices).toEqual(["Node /n1: Cannot set a"]);
    expect(await agent.metric("kube_ipvs_node_problems")).toBe(1);
    agent.kernel.warnings = ["Cannot set a", "Cannot set b"];
    for (let resyncs = 0; resyncs < 2; resyncs++) await agent.rest(RESYNC_MS);
    expect(reports().slice(1)).toEqual(['warn node preparation failed {"warning":"Cannot set b"}']);
    agent.kernel.warnings = [];
    for (let resyncs = 0; resyncs < 2; resyncs++) await agent.rest(RESYNC_MS);
    expect(reports().slice(2)).toEqual([
      'info node preparation no longer fails {"warning":"Cannot set a"}',
      'info node preparation no longer fails {"warning":"Cannot set b"}',
    ]);
    expect(agent.notices).toHaveLength(2);
    expect(await agent.metric("kube_ipvs_node_problems")).toBe(0);
  });

  test("rules in the iptables backend that is not used, by log and Event, and not by readiness", async () => {
    await using agent = new RunningAgent();
    const warning = 'iptables-legacy has rules of other programs: chains "DOCKER"';
    const found = { used: "nft", reason: "the kubelet has its chain there" } as const;
    agent.kernel.backends = { ...found, otherRules: new Map([["IPv4", 2]]), warnings: [warning] };
    for (let resyncs = 0; resyncs < 3; resyncs++) await agent.rest(RESYNC_MS);
    expect(agent.log.filter((line) => line.includes("iptables"))).toEqual([
      'info iptables backend found {"backend":"nft","reason":"the kubelet has its chain there"}',
      `warn node preparation failed {"warning":${JSON.stringify(warning)}}`,
    ]);
    expect(agent.notices).toEqual([`Node /n1: ${warning}`]);
    expect(agent.unreadiness()).not.toContain("iptables");
    agent.kernel.backends = { ...found, otherRules: new Map([["IPv4", 0]]), warnings: [] };
    await agent.rest(RESYNC_MS);
    expect(agent.log.at(-1)).toContain("node preparation no longer fails");
  });

  test("another service proxy, once by log and Event and by metric, until it has left no traces for twenty resyncs", async () => {
    await using agent = new RunningAgent();
    const reports = () => agent.log.filter((line) => line.includes("another service proxy"));
    agent.kernel.otherProxies = ["kube-proxy in ipvs mode"];
    for (let resyncs = 0; resyncs < 3; resyncs++) await agent.rest(RESYNC_MS);
    expect(reports()).toEqual([
      expect.stringMatching(
        /^warn another service proxy works on this node .*kube-proxy in ipvs mode works on this node/,
      ),
    ]);
    expect(agent.notices).toEqual([expect.stringContaining("Node /n1: kube-proxy in ipvs mode works on this node")]);
    expect(await agent.metric("kube_ipvs_other_proxies")).toBe(1);
    agent.kernel.otherProxies = [];
    for (let resyncs = 0; resyncs < 10; resyncs++) await agent.rest(RESYNC_MS);
    expect(await agent.metric("kube_ipvs_other_proxies")).toBe(1);
    for (let resyncs = 0; resyncs < 20; resyncs++) await agent.rest(RESYNC_MS);
    expect(await agent.metric("kube_ipvs_other_proxies")).toBe(0);
    expect(reports().at(-1)).toMatch(/^info another service proxy has left no traces/);
  });

  test("a kernel that does not answer, by log, Event and a counter of the attempts", async () => {
    await using agent = new RunningAgent({ unreadable: 5 });
    await agent.rest(600_000);
    const reports = agent.log.filter((line) => line.includes("kernel"));
    expect(reports).toEqual([
      expect.stringMatching(/^error kernel request failed; will resync .*Transport lost in a read/),
      "info kernel requests succeed again {}",
    ]);
    expect(agent.notices).toEqual(["Node /n1: Transport lost in a read"]);
    expect(await agent.metric("kube_ipvs_kernel_failures_total")).toBe(5);
    agent.kernel.failReads(1);
    await agent.rest(600_000);
    expect(agent.notices).toHaveLength(2);
  });

  test("a problem of a Service on this node", async () => {
    await using agent = new RunningAgent({ nodeAddresses: ["192.168.1.10"] });
    agent.listed("nodes", "services", "endpointslices");
    for (const ip of ["192.168.1.10", "10.96.0.10"]) {
      agent.service("shop/web", { ip });
      await agent.rest();
      for (const port of [80, 81]) {
        agent.service("shop/other", { ip: "10.96.0.11", ports: [port] });
        await agent.rest();
      }
    }
    expect(agent.log.filter((line) => line.includes("rejected"))).toEqual([
      expect.stringMatching(/^warn rejected .*Service shop\/web/),
      expect.stringMatching(/^info no longer rejected .*Service shop\/web/),
    ]);
    expect(agent.notices).toHaveLength(1);
  });
});

describe("a failed operation", () => {
  const reports = (agent: RunningAgent) => agent.log.filter((line) => line.includes("operation"));
  const sentence = 'Cannot bind address "10.96.0.10": EACCES';

  test("is reported when it begins and when it ends, to its Service, and makes the agent unready", async () => {
    await using agent = new RunningAgent();
    agent.kernel.failOperations(({ kind }) => kind === "bind-address", "EACCES");
    agent.listed("nodes");
    told(agent);
    for (let minutes = 0; minutes < 10; minutes++) await agent.rest(60_000);
    expect(reports(agent)).toEqual([
      `warn operation failed ${JSON.stringify({ failure: sentence, operation: "bind-address", errno: "EACCES", services: ["shop/web"] })}`,
    ]);
    expect(agent.notices).toEqual([`Service shop/web: ${sentence}`]);
    expect(agent.unreadiness()).toBe(`cannot program 1 kernel object: ${sentence}`);
    expect(agent.isAlive()).toBe(true);
    expect(agent.isHealthy()).toBe(true);
    agent.kernel.heal();
    for (let minutes = 0; minutes < 3; minutes++) await agent.rest(60_000);
    expect(agent.kernel.addresses()).toEqual(["10.96.0.10"]);
    expect(reports(agent).slice(1)).toEqual([
      expect.stringContaining(`info operation no longer fails {"failure":${JSON.stringify(sentence)}`),
    ]);
    expect(agent.notices).toHaveLength(1);
    expect(agent.isReady()).toBe(true);
  });

  test("for the node itself is reported to the node", async () => {
    await using agent = new RunningAgent();
    agent.kernel.failOperations(
      (one) => "entry" in one && one.entry.set.base === "KUBE-NODE-PORT-IPS",
      "IPSET_ERR_HASH_FULL",
    );
    agent.listed("nodes");
    told(agent);
    await agent.rest();
    expect(agent.notices).toEqual([
      expect.stringMatching(
        /^Node \/n1: Cannot add member "192.168.1.10" of set "KUBE-NODE-PORT-IPS": IPSET_ERR_HASH_FULL/,
      ),
    ]);
  });

  test("of every object causes twenty log lines and Events at once, and two more a minute", async () => {
    await using agent = new RunningAgent();
    agent.kernel.failOperations(({ kind }) => kind === "add-virtual-server", "ENOMEM");
    for (let number = 0; number < 300; number++)
      agent.service(`shop/s${number}`, { ip: `10.97.${number >> 8}.${number & 255}` });
    agent.listed("nodes", "endpointslices", "services");
    for (let seconds = 0; seconds < 120; seconds++) await agent.rest(1_000);
    expect([reports(agent).length, agent.notices.length]).toEqual([20, 20]);
    expect(agent.unreadiness()).toMatch(
      /^cannot program 300 kernel objects: (Cannot add virtual server [^;]+; ){3}and 297 more$/,
    );
    agent.kernel.heal();
    for (let seconds = 0; seconds < 180; seconds++) await agent.rest(1_000);
    expect(agent.isReady()).toBe(true);
    expect(reports(agent).length).toBe(40);
  });

  test("due to the missing scheduler of the node names the module until it is loaded", async () => {
    await using agent = new RunningAgent({ lacks: "lc", scheduler: "lc" });
    agent.listed("nodes");
    told(agent);
    await agent.rest();
    const cure = 'the kernel has no scheduler "lc": run "modprobe ip_vs_lc" on the node';
    expect(agent.notices).toEqual([expect.stringContaining(cure)]);
    for (let minutes = 0; minutes < 3; minutes++) await agent.rest(60_000);
    expect(agent.unreadiness()).toContain(cure);
    agent.kernel.heal();
    for (let minutes = 0; minutes < 3; minutes++) await agent.rest(60_000);
    expect(agent.isReady()).toBe(true);
    expect(reports(agent)).toHaveLength(2);
  });
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

test("a VIP that another program removes is bound again within a second", async () => {
  await using agent = new RunningAgent();
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest(1_000);
  agent.kernel.meddle({ kind: "unbind-address", address: address("10.96.0.10") });
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
