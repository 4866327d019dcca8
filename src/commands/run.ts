import { readFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Registry } from "prom-client";
import { Agent } from "../agent.ts";
import type { Configuration, Invocation } from "../config/cli.ts";
import type { Config } from "../config/config.ts";
import { EventRecorder } from "../events/event-recorder.ts";
import { refusedPortEvent } from "../events/event-records.ts";
import { History } from "../explain/page/history.ts";
import { AgentPresence, agentIdentity } from "../kernel/agent-presence.ts";
import { kernelFamilies } from "../kernel/families.ts";
import { monitorAddresses } from "../kernel/link/monitor.ts";
import { monitorStarter } from "../kernel/link/monitor-process.ts";
import { runProcess } from "../kernel/run-process.ts";
import { nodeSetup } from "../node/node-setup.ts";
import { localMarkCount } from "../node/rules/local-mark.ts";
import { createLogger, levelOf } from "../process/log.ts";
import { LogTail } from "../process/log-tail.ts";
import type { Output } from "../process/standard-output.ts";
import { cpuMs, systemClock } from "../process/system-clock.ts";
import { version } from "../process/version.ts";
import { HealthCheckPorts } from "../serve/health-check-ports.ts";
import { registerBuildMetrics } from "../serve/metrics/build-metrics.ts";
import { registerConfigMetrics } from "../serve/metrics/config-metrics.ts";
import { registerEventMetrics } from "../serve/metrics/event-metrics.ts";
import { registerFlowMetrics } from "../serve/metrics/flow-metrics.ts";
import { registerHealthCheckMetrics } from "../serve/metrics/health-check-metrics.ts";
import { Metrics } from "../serve/metrics/metrics.ts";
import { registerProcessMetrics } from "../serve/metrics/process-metrics.ts";
import { RestClientMetrics } from "../serve/metrics/rest-client-metrics.ts";
import { ServiceTraffic } from "../serve/metrics/traffic/service-traffic.ts";
import { registerTrafficMetrics } from "../serve/metrics/traffic/traffic-metrics.ts";
import { registerWatchMetrics } from "../serve/metrics/watch-metrics.ts";
import { watchSentinels } from "../sync/sentinel-watch.ts";
import { serversByAddress, sourceOf } from "./cluster-source.ts";
import { ConfigWatch } from "./config-watch.ts";
import { AgentState } from "./diagnosis/agent-state.ts";
import { PageState } from "./diagnosis/page-state.ts";
import { EXIT_OK, EXIT_RESTART } from "./exit-codes.ts";
import { checkFamilies } from "./family-checks.ts";
import { serve } from "./serve.ts";
import { readHostInfo, thisKernel } from "./this-node.ts";

/** How long the agent waits at its end for the Event that gives the reason. */
const LAST_EVENTS_MS = 2_000;

/**
 * Runs the agent until the signal aborts: it programs the kernel and repairs it. `reread` reads the command line and the
 * configuration file again. A change of the file that needs a new start ends the agent with EXIT_RESTART.
 */
export async function run(
  configuration: Configuration,
  reread: () => Invocation,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const { config, notice, file } = configuration;
  const log = new LogTail({ write: output.out, ...(output.isFull && { isFull: output.isFull }) });
  const logger = createLogger(
    { level: levelOf(config.verbosity), format: config.loggingFormat, now: systemClock.now },
    log,
  );
  logger.info({ node: config.nodeName, pid: process.pid }, "kube-ipvs starts");
  if (notice !== "") logger.warn({}, notice);
  const families = await kernelFamilies();
  const reportFamilies = (checked: Config): readonly string[] => {
    const { errors, warnings } = checkFamilies(checked, families);
    for (const warning of [...errors, ...warnings])
      logger.warn({ warning }, "a setting does not fit the address families of this node");
    return errors;
  };
  const errors = reportFamilies(config);
  if (errors.length > 0) throw new Error(errors.join("; "));
  const registry = new Registry();
  const mounts = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  const presence = new AgentPresence(agentIdentity(version, process.pid, mounts), systemClock);
  const kernel = thisKernel(config, {
    onForgotten: registerFlowMetrics(registry, families),
    otherAgents: () => presence.others(),
  });
  const metrics = new Metrics({
    registry,
    families,
    marks: localMarkCount(config.localMarkMask),
    clock: systemClock,
    netlink: () => kernel.counters,
  });
  const history = config.page ? new History(systemClock) : undefined;
  registerProcessMetrics(registry);
  registerBuildMetrics(registry, { version, node: process.version, platform: `linux/${goArchitecture()}` });
  const requests = new RestClientMetrics(registry, systemClock);
  const dependencies = { clock: systemClock, random: Math.random, logger, requests };
  const events = new EventRecorder(config.nodeName, dependencies);
  const source = sourceOf(config, dependencies, events);
  registerWatchMetrics(registry, systemClock, () => source.stats());
  registerEventMetrics(registry, () => events.counts);
  const machine = await readHostInfo(families);
  let setupConfig = config;
  const agent = new Agent(config, (needs) => nodeSetup(setupConfig, machine, needs), {
    kernel,
    clock: systemClock,
    logger,
    metrics,
    ...(history && { history }),
    nextTurn,
    missing: () => source.missing(),
    apiServers: () => serversByAddress(source.servers()),
    onHealthChecks: (checks) => healthCheckPorts.update(checks),
    recordEvent: (event) => source.record(event),
    random: Math.random,
    cpuMs,
  });
  const healthCheckPorts = new HealthCheckPorts({
    clock: systemClock,
    logger,
    isHealthy: () => agent.view.isAlive(),
    onRefused: (refused) => source.record(refusedPortEvent(refused)),
  });
  const traffic =
    config.serviceTraffic === 0
      ? undefined
      : new ServiceTraffic(
          { limit: config.serviceTraffic, showsServers: config.virtualServerInfo },
          {
            servers: () => agent.view.ownedServers(),
            read: (keys) => kernel.statistics(keys),
            clock: systemClock,
            logger,
            nextTurn,
            onRead: registerTrafficMetrics(registry),
          },
        );
  registerHealthCheckMetrics(registry, () => healthCheckPorts.counts());
  const configWatch = new ConfigWatch(configuration, {
    reread,
    clock: systemClock,
    logger,
    recordEvent: (event) => source.record(event),
    eventsWritten: () => events.written(LAST_EVENTS_MS),
    apply: (next) => {
      setupConfig = next.config;
      logger.level = levelOf(next.config.verbosity);
      if (next.notice !== "") logger.warn({}, next.notice);
      reportFamilies(next.config);
      agent.reconfigure(next.config);
    },
  });
  registerConfigMetrics(registry, systemClock, () => configWatch.state);
  let needsRestart = false;
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  try {
    await Promise.all(
      [
        serve(config, {
          configuration: () => configWatch.current,
          registry,
          traffic,
          agent,
          state: new AgentState(agent.view, kernel),
          logTail: () => log.lines(),
          page: history && new PageState({ agent: agent.view, kernel, history, clock: systemClock, nextTurn }),
          recordEvent: (event) => source.record(event),
          create: (path, object) => source.create(path, object),
          logger,
          signal: either,
        }),
        source.run({
          onEvent: (event) => agent.accept(event),
          onProblems: (count, fresh, all) => agent.reject(count, fresh, all),
          signal: either,
        }),
        agent.run(either),
        ...(file === ""
          ? []
          : [
              configWatch.run(either).then((restart) => {
                needsRestart = restart;
              }),
            ]),
        watchSentinels(
          {
            clock: systemClock,
            sentinels: () => agent.takeSentinels(),
            present: (keys) => kernel.present(keys),
            onMissing: (keys, areAll) => agent.onMissingServers(keys, areAll),
          },
          either,
        ),
        monitorStarter(runProcess, config.vipBinding).then((start) =>
          monitorAddresses(
            {
              clock: systemClock,
              logger,
              onChange: (change) => agent.onAddressChange(change),
              onGap: () => agent.onAddressChange(undefined),
              start,
              binding: config.vipBinding,
            },
            either,
          ),
        ),
      ].map((part) => part.finally(() => ended.abort())),
    );
  } finally {
    healthCheckPorts.close();
    presence.close();
    await kernel.close();
  }
  logger.info({ node: config.nodeName }, "kube-ipvs stopped; the kernel keeps serving Services");
  return needsRestart ? EXIT_RESTART : EXIT_OK;
}

/** The name of the architecture in Go. */
function goArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}
