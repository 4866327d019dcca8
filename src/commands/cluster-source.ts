import type { Config } from "../config/config.ts";
import { EventRecorder } from "../events/event-recorder.ts";
import { parseAddress } from "../model/address.ts";
import type { Logger } from "../model/logger.ts";
import type { ApiServer } from "../node/reserved-addresses.ts";
import { systemClock } from "../process/system-clock.ts";
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

/** Those of the URLs whose host is an address. Names are not resolved: what they stand for may change at any time. */
export function serversByAddress(urls: readonly string[]): readonly ApiServer[] {
  return urls.flatMap((url) => {
    const { hostname, port, protocol } = new URL(url);
    const address = parseAddress(hostname.replace(/[[\]]/g, ""));
    return address === undefined ? [] : [{ address, port: Number(port || (protocol === "http:" ? 80 : 443)) }];
  });
}
