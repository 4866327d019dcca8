import { describe, expect, test } from "vitest";
import { told } from "../support/worlds/hinted-service.ts";
import { RunningAgent } from "../support/worlds/running-agent.ts";

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
