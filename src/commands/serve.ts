import type { Registry } from "prom-client";
import type { Agent } from "../agent.ts";
import type { Configuration } from "../config/cli.ts";
import type { Config } from "../config/config.ts";
import { listenFailureEvent } from "../events/event-records.ts";
import type { BindAddress } from "../model/address.ts";
import type { EventRecord } from "../model/cluster/event-record.ts";
import type { Logger } from "../model/logger.ts";
import { systemClock } from "../process/system-clock.ts";
import { version } from "../process/version.ts";
import { AccessControl } from "../serve/access/access-control.ts";
import { httpServer, httpsServer } from "../serve/http-server.ts";
import { KUBERNETES } from "../serve/metrics/build-metrics.ts";
import { SliMetrics } from "../serve/metrics/sli-metrics.ts";
import type { ServiceTraffic } from "../serve/metrics/traffic/service-traffic.ts";
import { serveMetrics } from "../serve/metrics-server.ts";
import { PAGE_FOLDER, readPageFiles } from "../serve/page/page-files.ts";
import { addPageRoutes, type PageSource } from "../serve/page/page-routes.ts";
import { healthServer, type Listener, listen } from "../serve/server.ts";
import { ServingCertificate } from "../serve/serving-certificate.ts";
import { addStateRoutes, type StateSource, serveStateSocket } from "../serve/state-server.ts";
import { flagsPage, statusPage } from "../serve/status-page.ts";

export interface ServeDependencies {
  /** Returns the configuration in use. */
  readonly configuration: () => Pick<Configuration, "effective" | "flags">;
  readonly registry: Registry;
  /** The traffic of Services; undefined if it has no metrics. */
  readonly traffic: Pick<ServiceTraffic, "text"> | undefined;
  readonly agent: Agent;
  readonly state: StateSource;
  readonly logTail: () => readonly string[];
  /** The source of the status page; undefined: there is none. */
  readonly page: PageSource | undefined;
  readonly recordEvent: (event: EventRecord) => void;
  /** Creates an object at the API server. */
  readonly create: (path: string, object: object) => Promise<unknown>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A server, and what it does while it listens. */
interface Served {
  readonly name: "metrics" | "healthz";
  readonly bind: BindAddress | undefined;
  readonly listener: Listener;
  readonly follow: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Serves metrics and health probes until the signal aborts. */
export async function serve(config: Config, dependencies: ServeDependencies): Promise<void> {
  const { recordEvent, state, logTail, logger, signal } = dependencies;
  const servers = [metricsServer(config, dependencies), probeServer(config, dependencies)];
  await Promise.all(
    servers.map(async ({ name, bind, listener, follow }) => {
      const onFailure = (error: unknown) => recordEvent(listenFailureEvent(config.nodeName, name, error));
      if (bind === undefined) return;
      const hardFail = config.bindAddressHardFail;
      await listen(listener, bind, { name, logger, onFailure, hardFail, sleep: systemClock.sleep, signal });
      await follow();
    }),
  );
  const { stateSocket } = config;
  const socket =
    stateSocket === "" ? undefined : await serveStateSocket(stateSocket, state, { logTail, logger, signal });
  await aborted(signal);
  await Promise.all([...servers.map(({ close }) => close()), socket?.close()]);
}

function probeServer({ healthzBindAddress }: Config, { agent }: ServeDependencies): Served {
  const server = healthServer((probe) => agent.probe(probe));
  return {
    name: "healthz",
    bind: healthzBindAddress,
    listener: server,
    follow: async () => {},
    close: () => server.close(),
  };
}

function metricsServer(
  config: Config,
  { configuration, registry, traffic, state, page, create, logger, signal }: ServeDependencies,
): Served {
  const start = {
    version,
    kubernetesVersion: KUBERNETES.release,
    node: process.version,
    startedAtMs: systemClock.now(),
  };
  const options = {
    registry,
    traffic,
    slis: new SliMetrics(registry),
    statusPage: (paths: readonly string[]) => statusPage({ ...start, paths }, systemClock),
    flagsPage: () => flagsPage(configuration().flags),
    configuration: () => configuration().effective,
    access: config.metricsAuthorization ? new AccessControl({ clock: systemClock, logger, create }) : undefined,
  };
  const addRoutes = (server: ReturnType<typeof httpServer>) => {
    serveMetrics(server, options);
    addStateRoutes(server, state);
    if (page !== undefined)
      addPageRoutes(server, { source: page, files: () => readPageFiles(PAGE_FOLDER), clock: systemClock });
  };
  const bound = { name: "metrics" as const, bind: config.metricsBindAddress };
  if (config.metricsCertFile === "") {
    const server = httpServer();
    addRoutes(server);
    return { ...bound, listener: server, follow: async () => {}, close: () => server.close() };
  }
  const { server, tls } = httpsServer();
  addRoutes(server);
  const files = { cert: config.metricsCertFile, key: config.metricsKeyFile };
  const certificate = new ServingCertificate(files, tls, { clock: systemClock, logger });
  return {
    ...bound,
    // A missing certificate is retried and reported like a port in use. Nothing is served without TLS meanwhile.
    listener: {
      listen: async (address) => {
        await certificate.load();
        return await server.listen(address);
      },
    },
    follow: () => certificate.follow(signal),
    close: () => server.close(),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
