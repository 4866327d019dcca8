import { availableParallelism, release } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Registry } from "prom-client";
import { Agent } from "../agent.ts";
import type { Config } from "../config/config.ts";
import { nodeWants } from "../desired/node-wants.ts";
import { ProxyState } from "../desired/proxy-state.ts";
import { listenFailureNotice, refusedPortNotice } from "../events/notices.ts";
import { kernelFamilies } from "../kernel/families.ts";
import type { NodeSetup, Observed, SetupReport } from "../kernel/kernel.ts";
import { monitorAddresses } from "../kernel/link/monitor.ts";
import { monitorStarter } from "../kernel/link/monitor-process.ts";
import { KERNEL_MODULES, loadModules } from "../kernel/modules.ts";
import { NetlinkKernel, type NetlinkKernelOptions } from "../kernel/netlink-kernel.ts";
import { runProcess } from "../kernel/run-process.ts";
import { SysctlClient } from "../kernel/sysctl.ts";
import { FAMILIES, type IPAddress, type IPFamily } from "../model/address.ts";
import type { Notice } from "../model/cluster/notice.ts";
import type { Logger } from "../model/logger.ts";
import { NO_SURROUNDINGS, nodeFacts, nodeIPsOf } from "../node/node-facts.ts";
import { type Machine, nodeSetup, staticRules } from "../node/node-setup.ts";
import { apiServers } from "../node/reserved-addresses.ts";
import { PROXY_CHAINS } from "../node/rules/proxy-rules.ts";
import { configuredFamilies, familiesShown } from "../node/used-families.ts";
import { createLogger, levelOf } from "../process/log.ts";
import type { Output } from "../process/standard-output.ts";
import { systemClock } from "../process/system-clock.ts";
import { HealthCheckPorts } from "../serve/health-check-ports.ts";
import { registerEventMetrics } from "../serve/metrics/event-metrics.ts";
import { registerFlowMetrics } from "../serve/metrics/flow-metrics.ts";
import { registerHealthCheckMetrics } from "../serve/metrics/health-check-metrics.ts";
import { Metrics } from "../serve/metrics/metrics.ts";
import { registerProcessMetrics } from "../serve/metrics/process-metrics.ts";
import { registerWatchMetrics } from "../serve/metrics/watch-metrics.ts";
import { healthServer, listen, metricsServer } from "../serve/server.ts";
import type { ClusterState } from "../sources/api/api-source.ts";
import { type Evidence, isExcluded, isOurs } from "../sync/plan/ownership.ts";
import { ClusterSource, readCluster, serversByAddress } from "./cluster-source.ts";
import { diffPlan, type Plan, renderPlanJson, renderPlanText } from "./dry-run/plan.ts";

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_DIFFERENT = 2;

/** The agent: programs the kernel and keeps it right until the signal aborts. */
export async function run(config: Config, output: Output, signal: AbortSignal): Promise<number> {
  const logger = createLogger(
    { level: levelOf(config.verbosity), format: config.loggingFormat },
    { write: output.out, ...(output.isFull && { isFull: output.isFull }) },
  );
  logger.info({ node: config.nodeName, pid: process.pid }, "kube-ipvs starts");
  const families = await kernelFamilies();
  const registry = new Registry();
  const kernel = thisKernel({ onForgotten: registerFlowMetrics(registry) });
  const metrics = new Metrics({ registry, families, clock: systemClock, netlink: () => kernel.counters });
  registerProcessMetrics(registry);
  const source = new ClusterSource(config, logger);
  registerWatchMetrics(registry, systemClock, () => source.watches());
  registerEventMetrics(registry, () => source.eventCounts);
  const machine = await machineHere(families);
  const agent = new Agent(config, (needs) => nodeSetup(config, machine, needs), {
    kernel,
    clock: systemClock,
    logger,
    metrics,
    nextTurn: () => nextTurn(),
    missing: () => source.missing(),
    apiServers: () => serversByAddress(source.servers()),
    onHealthChecks: (checks) => healthCheckPorts.update(checks),
    tell: (notice) => source.tell(notice),
    random: Math.random,
  });
  const healthCheckPorts = new HealthCheckPorts({
    clock: systemClock,
    logger,
    isHealthy: () => agent.isAlive(),
    onRefused: (refused) => source.tell(refusedPortNotice(refused)),
  });
  registerHealthCheckMetrics(registry, () => healthCheckPorts.counts());
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  try {
    await Promise.all(
      [
        serve(config, { registry, agent, tell: (notice) => source.tell(notice), logger, signal: either }),
        source.run({
          onEvent: (event) => agent.accept(event),
          onRejections: (count, fresh) => agent.reject(count, fresh),
          clock: systemClock,
          random: Math.random,
          logger,
          signal: either,
        }),
        agent.run(either),
        monitorStarter(runProcess).then((start) =>
          monitorAddresses(
            {
              clock: systemClock,
              logger,
              onChange: (change) => agent.hear(change),
              onGap: () => agent.hear(undefined),
              start,
            },
            either,
          ),
        ),
      ].map((part) => part.finally(() => ended.abort())),
    );
  } finally {
    healthCheckPorts.close();
    await kernel.close();
  }
  logger.info({ node: config.nodeName }, "kube-ipvs ends; the kernel goes on serving");
  return EXIT_OK;
}

interface Served {
  readonly registry: Registry;
  readonly agent: Agent;
  readonly tell: (notice: Notice) => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Serves metrics and health until the signal aborts. */
async function serve(config: Config, { registry, agent, tell, logger, signal }: Served): Promise<void> {
  const servers = [
    { name: "metrics" as const, bind: config.metricsBindAddress, server: metricsServer(registry) },
    { name: "healthz" as const, bind: config.healthzBindAddress, server: healthServer((probe) => agent.probe(probe)) },
  ];
  const listening = servers.map(({ name, bind, server }) => {
    const onFailure = (error: unknown) => tell(listenFailureNotice(config.nodeName, name, error));
    const options = { name, logger, onFailure, sleep: systemClock.sleep, signal };
    return bind === undefined ? undefined : listen(server, bind, options);
  });
  await Promise.all(listening);
  await aborted(signal);
  await Promise.all(servers.map(({ server }) => server.close()));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/**
 * Does what takes privilege: modules are loaded, kube-ipvs0 is made and sysctls are set, so that the agent finds them right.
 * Touches nothing of a Service. What cannot be had is a warning and no failure: where this is an init container, a failure
 * would keep the agent from its Services. The agent reports it again.
 */
export async function init(config: Config, output: Output, kernel = thisKernel()): Promise<number> {
  const print = ({ changed, warnings }: SetupReport): void => {
    for (const line of changed) output.out(`${line}\n`);
    for (const warning of warnings) output.err(`${warning}\n`);
  };
  try {
    const { warnings } = await loadModules(KERNEL_MODULES, runProcess);
    print({ changed: [], warnings });
    const needs = { podCIDRs: [], families: configuredFamilies(config) };
    const setup = nodeSetup(config, await machineHere(await kernelFamilies()), needs);
    print(await interfaceReport(kernel, setup));
    print(await new SysctlClient().apply(setup.sysctls));
    return EXIT_OK;
  } finally {
    await kernel.close();
  }
}

/** The interface has sysctls of its own. That it cannot be made is for the agent to report. */
async function interfaceReport(kernel: NetlinkKernel, { families }: NodeSetup): Promise<SetupReport> {
  try {
    return await kernel.ensureInterface(families);
  } catch (error) {
    return { changed: [], warnings: [error instanceof Error ? error.message : String(error)] };
  }
}

/** Prints what this node would hold. Touches nothing and needs no privilege. */
export async function plan(config: Config, output: Output): Promise<number> {
  // As on a machine where nothing was set otherwise.
  const machine = { families: FAMILIES, liberalConntrack: false };
  const planned = planOf(config, await readCluster(config, quietLogger(output)), machine);
  output.out(config.output === "json" ? renderPlanJson(planned) : renderPlanText(planned));
  return EXIT_OK;
}

/** For commands whose output is not a log: only what someone must act on. */
function quietLogger(output: Output): Logger {
  return createLogger({ level: "error", format: "text" }, { write: output.err });
}

/** What the cluster wants of the node. Its addresses are the given ones, else those of its Node object, else as told. */
function planOf(
  config: Config,
  { events, rejections }: ClusterState,
  machine: Pick<Machine, "families" | "liberalConntrack">,
  addresses?: readonly IPAddress[],
): Plan {
  const { families } = machine;
  const state = new ProxyState(nodeFacts(config, families, NO_SURROUNDINGS));
  for (const event of events) state.apply(event);
  const node = state.table.node(config.nodeName);
  state.setFacts(
    nodeFacts(config, families, {
      ...NO_SURROUNDINGS,
      nodes: state.table.nodes(),
      addresses: addresses ?? nodeIPsOf(config, node),
      apiServers: apiServers(state.table, serversByAddress(config.servers)),
    }),
  );
  state.advance(Number.POSITIVE_INFINITY);
  return {
    node: config.nodeName,
    families,
    desired: state.desired,
    rules: staticRules(config, machine, node?.podCIDRs ?? []),
    rejected: [...rejections, ...state.refused.all()],
  };
}

const LIBERAL_CONNTRACK = "net/netfilter/nf_conntrack_tcp_be_liberal";

/** What the rules and sysctls depend on here. */
async function machineHere(families: readonly IPFamily[]): Promise<Machine> {
  const liberalConntrack = (await new SysctlClient().value(LIBERAL_CONNTRACK)) === "1";
  return { families, cpus: availableParallelism(), kernelRelease: release(), liberalConntrack };
}

/**
 * What proves whose a virtual server is: what the kernel holds, and which addresses NodePorts have here, which a kube-proxy
 * does not leave in any set.
 */
function evidenceOf({ addresses, entries }: Observed, nodeAddresses: readonly IPAddress[], config: Config): Evidence {
  const facts = nodeFacts(config, FAMILIES, { ...NO_SURROUNDINGS, addresses: nodeAddresses });
  const own = new Set(nodeWants(facts, []).entries.map(({ key }) => key));
  return { hasAddress: (address) => addresses.has(address), hasEntry: (key) => entries.has(key) || own.has(key) };
}

/** The kernel that this process runs on. */
function thisKernel(options: Pick<NetlinkKernelOptions, "onForgotten"> = {}): NetlinkKernel {
  return new NetlinkKernel({ chains: PROXY_CHAINS, ...options });
}

/** Compares what this node should hold with what its kernel holds, and closes that. Reads only. */
export async function diff(config: Config, output: Output, kernel = thisKernel()): Promise<number> {
  const machine = await machineHere(await kernelFamilies());
  try {
    const cluster = await readCluster(config, quietLogger(output));
    const nodeAddresses = await kernel.nodeAddresses();
    const planned = planOf(config, cluster, machine, nodeAddresses);
    const used = cluster.events.flatMap((event) => familiesShown(event, config.nodeName));
    const needs = { podCIDRs: [], families: [...configuredFamilies(config), ...used] };
    const { changed, warnings } = await kernel.inspect({
      ...nodeSetup(config, machine, needs),
      rules: planned.rules,
    });
    const observed = await kernel.observe("all");
    const evidence = evidenceOf(observed, nodeAddresses, config);
    const lines = [
      ...diffPlan(planned.desired, observed, {
        server: (server) => isOurs(server, evidence, config.excludeCidrs),
        address: (address) => !isExcluded(address, config.excludeCidrs),
        entry: () => true,
      }),
      ...changed.map((text) => `~ ${text}`),
    ];
    output.out(
      config.output === "json"
        ? `${JSON.stringify({ node: config.nodeName, differences: lines, rejected: planned.rejected }, null, 2)}\n`
        : lines.map((line) => `${line}\n`).join(""),
    );
    // What could not be read may differ: that is no equality.
    for (const warning of warnings) output.err(`${warning}\n`);
    if (warnings.length > 0) return EXIT_FAILURE;
    return lines.length === 0 ? EXIT_OK : EXIT_DIFFERENT;
  } finally {
    await kernel.close();
  }
}

/** Removes what is ours from this node's kernel, and closes that: addresses, virtual servers, sets, chains, nothing else. */
export async function cleanup(config: Config, output: Output, kernel = thisKernel()): Promise<number> {
  try {
    const observed = await kernel.observe("all");
    const evidence = evidenceOf(observed, await kernel.nodeAddresses(), config);
    const servers = [...observed.servers.values()].filter(({ server }) =>
      isOurs(server, evidence, config.excludeCidrs),
    );
    const outcomes = await kernel.apply(servers.map(({ server }) => ({ kind: "delete-virtual-server", server })));
    const { changed, warnings } = await kernel.remove(FAMILIES);
    const deleted = outcomes.filter((outcome) => outcome.ok).length;
    output.out(`${[`${deleted} virtual servers`, ...changed].join("\n")}\n`);
    const left = observed.servers.size - servers.length + observed.unnamedServers;
    if (left > 0) output.out(`left alone: ${left} virtual servers of others\n`);
    for (const warning of warnings) output.err(`${warning}\n`);
    return warnings.length === 0 && deleted === servers.length ? EXIT_OK : EXIT_FAILURE;
  } finally {
    await kernel.close();
  }
}
