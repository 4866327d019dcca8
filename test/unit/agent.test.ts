import { setImmediate } from "node:timers/promises";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { Agent } from "../../src/agent.ts";
import { readConfig } from "../../src/config.ts";
import type { NodeSetup, Outcome, SetupReport } from "../../src/kernel/kernel.ts";
import { MemoryKernel } from "../../src/kernel/memory-kernel.ts";
import { FAMILIES, type IPFamily } from "../../src/model/address.ts";
import type { AddressChange } from "../../src/model/address-change.ts";
import type { HealthCheck } from "../../src/model/health-check.ts";
import type { Operation } from "../../src/model/operation.ts";
import { nodeSetup } from "../../src/node-setup.ts";
import { Metrics } from "../../src/serve/metrics.ts";
import type { Resource } from "../../src/services/events.ts";
import { HandClock } from "../support/api/hand-clock.ts";
import { SILENT_LOGGER } from "../support/api/silent-logger.ts";
import { clusterNode, type ServiceSpec, type SliceSpec, service, slice } from "../support/builders.ts";
import { address } from "../support/desired.ts";

/** A kernel that remembers what it was asked to do, of a node that may refuse rules. */
class RememberingKernel extends MemoryKernel {
  readonly asked: Operation[] = [];
  /** Families whose rules cannot be written. */
  failedRules: readonly IPFamily[] = [];

  /** What was done, in order: the texts of rules, and whether anything was written for Services. */
  readonly steps: string[] = [];

  override async prepare(setup: NodeSetup): Promise<SetupReport> {
    this.steps.push(JSON.stringify(setup.rules));
    return { ...(await super.prepare(setup)), failedRules: this.failedRules };
  }

  override apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    this.asked.push(...operations);
    this.steps.push("Services");
    return super.apply(operations);
  }
}

/** The agent of node n1, at work on a kernel in memory until it is disposed of. */
class RunningAgent implements AsyncDisposable {
  readonly kernel = new RememberingKernel();
  readonly clock = new HandClock();
  readonly registry = new Registry();
  /** What load balancers may ask, as it was handed out, each time all. */
  readonly checks: HealthCheck[][] = [];
  /** What it told the cluster. */
  readonly notices: string[] = [];
  readonly #agent: Agent;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** The first `unreadable` attempts to read the kernel fail. */
  constructor({
    nodeAddresses = ["192.168.1.10"],
    unreadable = 0,
    failedRules = [] as readonly IPFamily[],
    lacks = "",
    localMode = "ClusterCIDR",
  } = {}) {
    const asksFor = (operation: Operation) => "server" in operation && operation.server.scheduler === lacks;
    this.kernel.refuse((operation) => operation.kind.endsWith("-virtual-server") && asksFor(operation), "ENOENT");
    this.kernel.failedRules = failedRules;
    this.kernel.setNodeAddresses(nodeAddresses.map(address));
    this.kernel.failReads(unreadable);
    const given = (flag: string, text: string) => ({ source: flag, text });
    const { config } = readConfig({
      nodeName: given("--node-name", "n1"),
      localMode: given("--detect-local-mode", localMode),
    });
    const machine = { families: FAMILIES, cpus: 1, kernelRelease: "6.1.0", liberalConntrack: false };
    const metrics = new Metrics({
      registry: this.registry,
      families: FAMILIES,
      netlink: () => ({ sends: 0, messages: 0, errors: new Map() }),
    });
    this.#agent = new Agent(config, (podCIDRs) => nodeSetup(config, machine, podCIDRs), {
      kernel: this.kernel,
      clock: this.clock,
      logger: SILENT_LOGGER,
      metrics,
      nextTurn: () => setImmediate(),
      missing: () => "what the source waits for",
      apiServers: () => [],
      onHealthChecks: (checks) => this.checks.push([...checks]),
      tell: ({ regarding, note, reason }) => {
        if (reason !== "Starting")
          this.notices.push(`${regarding.kind} ${regarding.namespace}/${regarding.name}: ${note}`);
      },
      random: () => 0.5,
    });
    this.#running = this.#agent.run(this.#stop.signal);
  }

  service(name: string, said: ServiceSpec): void {
    this.#agent.accept({ kind: "service-upserted", service: service(name, said) });
  }

  slice(name: string, said: SliceSpec): void {
    this.#agent.accept({ kind: "slice-upserted", slice: slice(name, said) });
  }

  node(zone: string, podCIDRs: readonly string[] = []): void {
    this.#agent.accept({ kind: "node-upserted", node: clusterNode("n1", { zone, podCIDRs }) });
  }

  nodeGone(): void {
    this.#agent.accept({ kind: "node-deleted", name: "n1" });
  }

  /** What the interfaces of the node have from now on. */
  addresses(...ips: readonly string[]): void {
    this.kernel.setNodeAddresses(ips.map(address));
  }

  /** The kernel tells of an address; without words: something was missed. */
  hear(kind?: AddressChange["kind"], link = "", ip = ""): void {
    this.#agent.hear(kind && { kind, link, address: address(ip) });
  }

  listed(...resources: readonly Resource[]): void {
    for (const resource of resources) this.#agent.accept({ kind: "listed", resource });
  }

  isReady(): boolean {
    return this.#agent.probe("readyz").status === 200;
  }

  isHealthy(): boolean {
    return this.#agent.probe("healthz").status === 200;
  }

  /** Lets so much time pass, and all be done that can be done by then. */
  async rest(ms = 0): Promise<void> {
    await this.clock.advance(ms);
    for (let turn = 0; turn < 50; turn++) await setImmediate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

const HINTED: SliceSpec = {
  endpoints: [
    { ip: "10.244.1.5", ready: true, zones: ["a"] },
    { ip: "10.244.2.5", ready: true, zones: ["b"] },
  ],
};

function told(agent: RunningAgent): void {
  agent.slice("shop/web-1", HINTED);
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.listed("endpointslices", "services");
}

const NEAR = "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1";
const ALL = `${NEAR}\n-a -t 10.96.0.10:80 -r 10.244.2.5:8080 -m -w 1`;

test("Services wait for the Node, so that no connection is made out of its zone (G-44)", async () => {
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

test("rules that could not be written are counted for their family at every look, and keep it from being ready", async () => {
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
  expect(agent.isReady()).toBe(false);
});

test("a list of Nodes without this one holds up nobody", async () => {
  await using agent = new RunningAgent();
  agent.listed("nodes");
  told(agent);
  await agent.rest();
  expect(agent.kernel.ipvsadm().trim()).toBe(ALL);
});

test("a list of Nodes that never comes holds Services up for a minute at most", async () => {
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

test("load balancers may ask about a Service when it is programmed, and hear of every change, but not of none", async () => {
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

test("a booting node gets the API server, names and its own pods' Services before all others", async () => {
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
  // Whole, address and all, while most others have not been begun.
  const bound = asked.findIndex((operation) => operation.kind === "bind-address" && operation.address === "10.96.0.3");
  const later = asked.findIndex(
    (operation) => operation.kind === "add-virtual-server" && operation.server.key === "TCP/10.97.1.0:80",
  );
  expect(bound).toBeGreaterThan(0);
  expect(bound).toBeLessThan(later);
});

test("a scheduler that the kernel lacks is replaced at once, and the Service told", async () => {
  await using agent = new RunningAgent({ lacks: "lc" });
  const annotations = { "kube-ipvs.io/scheduler": "lc" };
  agent.listed("nodes");
  agent.service("shop/other", { ip: "10.96.0.11", annotations });
  told(agent);
  await agent.rest();
  expect(agent.kernel.ipvsadm().trim()).toBe(`${ALL}\n-A -t 10.96.0.11:80 -s rr`);
  expect(agent.notices).toEqual([
    expect.stringMatching(/^Service shop\/other: .*"lc" is no scheduler of this node's kernel; rr stands in/),
  ]);
  agent.service("shop/third", { ip: "10.96.0.12", annotations });
  const asked = agent.kernel.asked.length;
  await agent.rest(600_000);
  expect(JSON.stringify(agent.kernel.asked.slice(asked))).not.toContain('"lc"');
  expect(agent.isReady()).toBe(true);
});

test("in the mode NodeCIDR the rules know the Node's pods before any Service comes, and follow them", async () => {
  await using agent = new RunningAgent({ localMode: "NodeCIDR" });
  await agent.rest();
  told(agent);
  agent.node("a", ["10.244.1.0/24"]);
  agent.listed("nodes");
  await agent.rest();
  const { steps } = agent.kernel;
  const [last = ""] = steps.slice(0, steps.indexOf("Services")).slice(-1);
  expect(last).toContain("-s 10.244.1.0/24 -j SET");
  agent.node("a", ["10.244.7.0/24"]);
  await agent.rest();
  expect(steps.at(-1)).toContain("-s 10.244.7.0/24 -j SET");
  // A Node that is gone says nothing of where pods are.
  agent.nodeGone();
  await agent.rest(60_000);
  expect(steps.at(-1)).toContain("-s 10.244.7.0/24 -j SET");
});

test("in other modes what the Node says of its pods asks for no look", async () => {
  await using agent = new RunningAgent();
  await agent.rest();
  told(agent);
  agent.node("a", ["10.244.1.0/24"]);
  agent.listed("nodes");
  await agent.rest();
  expect(agent.kernel.steps.filter((step) => step !== "Services")).toHaveLength(1);
});

test("load balancers are told to leave a node whose Node is gone, and not one that never had any (G-45)", async () => {
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

test("a new address of the node has the NodePorts at once, and one that is gone has none", async () => {
  await using agent = new RunningAgent();
  agent.service("shop/web", { ip: "10.96.0.10", ports: [{ port: 80, nodePort: 30_080 }] });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest();
  agent.addresses("192.168.1.10", "192.168.1.11");
  agent.hear("appeared", "eth0", "192.168.1.11");
  await agent.rest(20);
  expect(agent.kernel.ipvsadm()).toContain("-t 192.168.1.11:30080");
  agent.addresses("192.168.1.11");
  agent.hear("vanished", "eth0", "192.168.1.10");
  agent.hear("vanished", "eth0", "192.168.1.99");
  await agent.rest(20);
  expect(agent.kernel.ipvsadm()).not.toContain("192.168.1.10");
});

test("news of addresses that cannot be followed are left to the next look", async () => {
  await using agent = new RunningAgent();
  agent.service("shop/web", { ip: "10.96.0.10", ports: [{ port: 80, nodePort: 30_080 }] });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest();
  agent.addresses("192.168.1.11");
  agent.kernel.failReads(1);
  agent.hear();
  await agent.rest(20);
  expect(agent.kernel.ipvsadm()).toContain("-t 192.168.1.10:30080");
  await agent.rest(60_000);
  expect(agent.kernel.ipvsadm()).toContain("-t 192.168.1.11:30080");
});

test("a virtual address that somebody takes away is given back within a second", async () => {
  await using agent = new RunningAgent();
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.listed("nodes", "services", "endpointslices");
  await agent.rest(1_000);
  agent.kernel.meddle({ kind: "unbind-address", address: address("10.96.0.10") });
  await agent.rest(20);
  expect(agent.kernel.addresses()).toEqual([]);
  agent.hear("vanished", "kube-ipvs0", "10.96.0.10");
  await agent.rest(20);
  expect(agent.kernel.addresses()).toEqual(["10.96.0.10"]);
});
