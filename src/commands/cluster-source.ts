import type { Config } from "../config/config.ts";
import { EventRecorder } from "../events/event-recorder.ts";
import { parseAddress } from "../model/address.ts";
import type { Logger } from "../model/logger.ts";
import type { ApiServer } from "../node/reserved-addresses.ts";
import { systemClock } from "../process/system-clock.ts";
import { ApiServerConfig } from "../sources/api/access/kubeconfig.ts";
import { ApiSource, type EventQueue } from "../sources/api/api-source.ts";
import { ManifestSource } from "../sources/manifests/manifests.ts";
import type { ClusterState, Source, SourceDependencies } from "../sources/source.ts";

/** The source that is configured: manifests, or an API server and the queue of the Events that it is sent. */
export function sourceOf(config: Config, dependencies: SourceDependencies, events: EventQueue): Source {
  const { kubeconfig, manifests, servers, nodeName } = config;
  if (manifests !== "") return new ManifestSource(manifests, dependencies);
  return new ApiSource({ kubeconfig, servers, nodeName, root: "", env: process.env }, dependencies, events);
}

/** The state of the configured source, read once. Throws when it cannot be had, of an API server within 30 s. */
export async function readCluster(config: Config, logger: Logger): Promise<ClusterState> {
  const dependencies = { clock: systemClock, random: Math.random, logger };
  return await sourceOf(config, dependencies, new EventRecorder(config.nodeName, dependencies)).read();
}

/** The API servers of the configured source, and the certificate that this node presents to them, in PEM; "" for none. */
export interface ApiAccess {
  readonly servers: readonly string[];
  readonly clientCertificate: string;
}

/** Whether there is a source of Services: a configured one, or the service account of a pod. */
export function hasSource({ kubeconfig, manifests, servers }: Config): boolean {
  const { KUBERNETES_SERVICE_HOST: ofPod = "" } = process.env;
  return manifests !== "" || kubeconfig !== "" || servers.length > 0 || ofPod !== "";
}

/** How long the credentials may take: a plugin may have to fetch them. */
const CREDENTIALS_MS = 10_000;

/** Reads how the API servers are reached; no servers for manifests. Rejects if the configuration or a file is invalid. */
export async function apiAccess({ kubeconfig, manifests, servers }: Config, logger: Logger): Promise<ApiAccess> {
  if (manifests !== "") return { servers: [], clientCertificate: "" };
  const stop = new AbortController();
  const { signal } = stop;
  void systemClock.sleep(CREDENTIALS_MS, signal).then(() => stop.abort());
  try {
    const config = await ApiServerConfig.load(
      { kubeconfig, servers, root: "", env: process.env },
      { clock: systemClock, random: Math.random, logger, signal },
    );
    const { tls } = await config.credentials(signal);
    return { servers: config.servers.map(String), clientCertificate: tls.cert };
  } finally {
    stop.abort();
  }
}

/** Those of the URLs whose host is an address. Names are not resolved: what they stand for may change at any time. */
export function serversByAddress(urls: readonly string[]): readonly ApiServer[] {
  return urls.flatMap((url) => {
    const { hostname, port, protocol } = new URL(url);
    const address = parseAddress(hostname.replace(/[[\]]/g, ""));
    return address === undefined ? [] : [{ address, port: Number(port || (protocol === "http:" ? 80 : 443)) }];
  });
}
