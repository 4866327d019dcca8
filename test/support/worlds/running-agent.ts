import { setImmediate } from "node:timers/promises";
import { Registry } from "prom-client";
import { Agent } from "../../../src/agent.ts";
import type { ReadAgent } from "../../../src/commands/diagnosis/page-state.ts";
import { type Config, type GivenTexts, readConfig } from "../../../src/config/config.ts";
import { History } from "../../../src/explain/page/history.ts";
import type {
  BackendReport,
  NodeSetup,
  Observed,
  Outcome,
  RulesReport,
  SetupReport,
  SourcePorts,
  WrongSysctl,
} from "../../../src/kernel/kernel.ts";
import type { AddressChange } from "../../../src/kernel/link/monitor.ts";
import { FAMILIES, type IPFamily } from "../../../src/model/address.ts";
import type { HealthCheck } from "../../../src/model/cluster/health-check.ts";
import type { VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import { nodeSetup } from "../../../src/node/node-setup.ts";
import { Metrics } from "../../../src/serve/metrics/metrics.ts";
import type { ClusterEvent, Resource } from "../../../src/services/cluster-event.ts";
import { HandClock } from "../api/worlds/hand-clock.ts";
import { MemoryKernel } from "../memory-kernel/memory-kernel.ts";
import { clusterNode, type ServiceSpec, type SliceSpec, service, slice } from "../objects/builders.ts";
import { address } from "../objects/desired.ts";
import { logLines } from "../objects/log-lines.ts";

/** A kernel that remembers what it was asked to do, of a node that may refuse rules. */
export class RememberingKernel extends MemoryKernel {
  readonly asked: Operation[] = [];
  /** Families whose rules cannot be written. */
  failedRules: readonly IPFamily[] = [];
  /** Rules that are asked for wait for this. */
  rulesHeldUp: Promise<void> | undefined;
  rulesAsked = 0;
  readonly rulesWanted: string[] = [];
  /** What the node lacks. */
  warnings: readonly string[] = [];
  /** What is found of the iptables backends each time; undefined: it is not known. */
  backends: BackendReport | undefined;
  /** The other service proxies of which traces are found each time. */
  otherProxies: readonly string[] = [];
  /** Whether kube-proxy's iptables mode serves. */
  servesByIptables = false;
  wrongSysctls: readonly WrongSysctl[] = [];
  sourcePorts: SourcePorts | undefined;
  /** What is asked to be set in /proc/sys, each time. */
  readonly sysctls: string[][] = [];

  /** What was done, in order: the texts of rules, and whether anything was written for Services. */
  readonly steps: string[] = [];

  /** Called within every request that reads or writes: time may be set while the agent waits for the kernel. */
  onRequest: () => void = () => {};

  /** Whether requests take a turn of the event loop, as those to a real kernel do. */
  takesTurns = false;

  override async prepare(setup: NodeSetup): Promise<SetupReport> {
    this.steps.push(JSON.stringify(setup.rules));
    this.sysctls.push(setup.sysctls.map(({ path }) => path));
    const { warnings, wrongSysctls, sourcePorts } = this;
    return { ...(await super.prepare(setup)), warnings, wrongSysctls, ...(sourcePorts && { sourcePorts }) };
  }

  override async writeRules(setup: NodeSetup): Promise<RulesReport> {
    this.rulesAsked++;
    this.rulesWanted.push(JSON.stringify(setup.rules));
    await this.rulesHeldUp;
    const failures = this.failedRules.map((family) => ({ family, message: `no rules of ${family}` }));
    const { backends, otherProxies } = this;
    const isDeferred = this.servesByIptables && setup.leftovers === "serve";
    if (this.servesByIptables) this.steps.push(isDeferred ? "rules deferred" : "rules written");
    this.servesByIptables = isDeferred;
    return {
      isDeferred,
      changed: [],
      failures,
      otherProxies,
      ...(backends !== undefined && { backends }),
    };
  }

  override async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    if (this.takesTurns) await setImmediate();
    for (const operation of operations) this.asked.push(operation);
    this.steps.push("Services");
    this.onRequest();
    return super.apply(operations);
  }

  override async *parts(): AsyncGenerator<Observed> {
    let parts = 0;
    for await (const part of super.parts()) {
      // A part of the kernel in memory is one virtual server, of a real one some dozens.
      if (this.takesTurns && ++parts % 50 === 0) await setImmediate();
      this.onRequest();
      yield part;
    }
  }

  override async connections(servers: ReadonlySet<VirtualServerKey>): ReturnType<MemoryKernel["connections"]> {
    if (this.takesTurns) await setImmediate();
    this.onRequest();
    return super.connections(servers);
  }
}

/** The agent of node n1, at work on a kernel in memory until it is disposed of. */
export class RunningAgent implements AsyncDisposable {
  readonly kernel: RememberingKernel;
  readonly clock: HandClock;
  readonly registry = new Registry();
  /** What load balancers may ask, as it was handed out, each time all. */
  readonly checks: HealthCheck[][] = [];
  /** What it told the cluster. */
  readonly notices: string[] = [];
  /** What it logged from the level info on: "warn node preparation failed" and then the fields as JSON. */
  readonly log: string[] = [];
  /** What the status page shows of the past. */
  readonly history: History;
  readonly #agent: Agent;
  readonly #given: GivenTexts;
  #config: Config;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** The first `unreadable` attempts to read the kernel fail. */
  constructor({
    nodeAddresses = ["192.168.1.10"],
    unreadable = 0,
    failedRules = [] as readonly IPFamily[],
    lacks = "",
    scheduler = "rr",
    localMode = "ClusterCIDR",
    /** With these Services come from manifests, which may do without Nodes; "" is an API server. */
    manifests = "/manifests",
    /** Texts of other settings. */
    settings = {} as Readonly<Partial<Record<keyof Config, string>>>,
    /** Those of an agent that ran here before. */
    kernel = new RememberingKernel(),
    clock = new HandClock(),
  } = {}) {
    this.kernel = kernel;
    this.clock = clock;
    const asksFor = (operation: Operation) => "server" in operation && operation.server.scheduler === lacks;
    this.kernel.failOperations(
      (operation) => operation.kind.endsWith("-virtual-server") && asksFor(operation),
      "ENOENT",
    );
    this.kernel.failedRules = failedRules;
    this.kernel.setNodeAddresses(nodeAddresses.map(address));
    this.kernel.failReads(unreadable);
    const given = (flag: string, text: string) => ({ source: flag, text });
    this.#given = {
      nodeName: given("--node-name", "n1"),
      localMode: given("--detect-local-mode", localMode),
      manifests: given("--manifests", manifests),
      scheduler: given("--ipvs-scheduler", scheduler),
      ...givenTexts(settings),
    };
    const { config } = readConfig(this.#given);
    this.#config = config;
    const machine = { families: FAMILIES, cpus: 1, kernelRelease: "6.1.0", liberalConntrack: false };
    const metrics = new Metrics({
      registry: this.registry,
      families: FAMILIES,
      marks: 255,
      clock: this.clock,
      netlink: () => ({ sends: 0, messages: 0, errors: new Map() }),
    });
    this.history = new History(this.clock);
    this.#agent = new Agent(config, (needs) => nodeSetup(this.#config, machine, needs), {
      kernel: this.kernel,
      clock: this.clock,
      logger: logLines(this.log),
      metrics,
      history: this.history,
      nextTurn: () => setImmediate(),
      missing: () => "what the source waits for",
      apiServers: () => [],
      onHealthChecks: (checks) => this.checks.push([...checks]),
      recordEvent: ({ regarding, note, reason }) => {
        if (reason !== "Starting")
          this.notices.push(`${regarding.kind} ${regarding.namespace}/${regarding.name}: ${note}`);
      },
      cpuMs: () => 0,
      random: () => 0.5,
    });
    this.#running = this.#agent.run(this.#stop.signal);
  }

  /** As if these settings had changed in the configuration file. */
  reconfigure(texts: Readonly<Partial<Record<keyof Config, string>>>): void {
    const { config, problems } = readConfig({ ...this.#given, ...givenTexts(texts) });
    if (problems.length > 0) throw new Error(problems.join("; "));
    this.#config = config;
    this.#agent.reconfigure(config);
  }

  /** What the agent shows of itself. */
  get shown(): ReadAgent {
    return this.#agent.view;
  }

  accept(event: ClusterEvent): void {
    this.#agent.accept(event);
  }

  service(name: string, said: ServiceSpec): void {
    this.accept({ kind: "service-upserted", service: service(name, said) });
  }

  slice(name: string, said: SliceSpec): void {
    this.accept({ kind: "slice-upserted", slice: slice(name, said) });
  }

  node(zone: string, podCIDRs: readonly string[] = [], ips: readonly string[] = []): void {
    this.accept({ kind: "node-upserted", node: clusterNode("n1", { zone, podCIDRs, ips }) });
  }

  nodeGone(): void {
    this.accept({ kind: "node-deleted", name: "n1" });
  }

  /** What the interfaces of the node have from now on. */
  addresses(...ips: readonly string[]): void {
    this.kernel.setNodeAddresses(ips.map(address));
  }

  /** The kernel tells of an address; without words: something was missed. */
  onAddressChange(kind?: AddressChange["kind"], link = "", ip = ""): void {
    this.#agent.onAddressChange(kind && { kind, link, address: address(ip) });
  }

  listed(...resources: readonly Resource[]): void {
    for (const resource of resources) this.accept({ kind: "listed", resource });
  }

  serviceGone(name: string): void {
    this.accept({ kind: "service-deleted", name: service(name).name });
  }

  isAlive(): boolean {
    return this.#agent.probe("livez").status === 200;
  }

  isReady(): boolean {
    return this.#agent.probe("readyz").status === 200;
  }

  /** Why it is not ready; undefined when it is. */
  unreadiness(): string | undefined {
    return JSON.parse(this.#agent.probe("readyz").body).reason;
  }

  /** The value of a metric that has no labels. */
  async metric(name: string): Promise<number | undefined> {
    return (await this.registry.getSingleMetric(name)?.get())?.values[0]?.value;
  }

  isHealthy(): boolean {
    return this.#agent.probe("healthz").status === 200;
  }

  /** Lets so much time pass, and all be done that can be done by then. */
  async rest(ms = 0): Promise<void> {
    await this.clock.advance(ms);
    for (let turn = 0; turn < 50; turn++) await setImmediate();
  }

  /** Rejects when it ends by a bug; not to be disposed of then. */
  get ended(): Promise<void> {
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

function givenTexts(texts: Readonly<Partial<Record<keyof Config, string>>>): GivenTexts {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, { source: key, text }]));
}
