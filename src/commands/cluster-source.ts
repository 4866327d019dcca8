import type { Config } from "../config/config.ts";
import type { EventCounts } from "../events/event-book.ts";
import { EventWriter } from "../events/event-writer.ts";
import { parseAddress } from "../model/address.ts";
import type { Notice } from "../model/cluster/notice.ts";
import type { Logger } from "../model/logger.ts";
import type { ApiServer } from "../node/reserved-addresses.ts";
import { systemClock } from "../process/system-clock.ts";
import {
  type ApiListener,
  type ApiSource,
  type ApiSourceOptions,
  type ClusterState,
  readApiServer,
  watchApiServer,
} from "../sources/api/api-source.ts";
import { missingLists, type ReflectorStats } from "../sources/api/reflector-stats.ts";
import { readManifests, watchManifests } from "../sources/manifests/manifests.ts";

/** How long a command that wants the state once waits for an API server. */
const ONCE_MS = 30_000;

/** Where Services come from, manifests or an API server as configured, and who is told of what happens here. To be run once. */
export class ClusterSource {
  readonly #config: Config;
  readonly #events: EventWriter;
  #api: ApiSource | undefined;

  constructor(config: Config, logger: Logger) {
    this.#config = config;
    this.#events = new EventWriter(config.nodeName, { clock: systemClock, random: Math.random, logger });
  }

  /** Tells what there is and what changes until the signal aborts. Rejects when the configuration cannot be used. */
  async run(listener: Omit<ApiListener, "events">): Promise<void> {
    if (this.#config.manifests !== "") return await watchManifests(this.#config.manifests, listener);
    this.#api = await watchApiServer(apiOptions(this.#config), { ...listener, events: this.#events });
    await this.#api.finished;
  }

  /** Becomes an Event at the API server, in its time; with manifests there is nobody to tell. */
  tell(notice: Notice): void {
    if (this.#config.manifests === "") this.#events.tell(notice);
  }

  /** What became of the notices. */
  get eventCounts(): EventCounts {
    return this.#events.counts;
  }

  /** Of each resource of the API server; none of manifests. */
  watches(): readonly ReflectorStats[] {
    return this.#api?.stats() ?? [];
  }

  /** URLs of the API servers, as far as they are known. */
  servers(): readonly string[] {
    return this.#api?.servers ?? [];
  }

  /** What the first lists wait for, for people. */
  missing(): string {
    return this.#config.manifests === ""
      ? missingLists(this.watches(), "cause")
      : `manifests at "${this.#config.manifests}"`;
  }
}

/** The state of the configured source, read once. Throws when it cannot be had, of an API server within 30 s. */
export async function readCluster(config: Config, logger: Logger): Promise<ClusterState> {
  if (config.manifests !== "") return await readManifests(config.manifests);
  return await readApiServer(apiOptions(config), { clock: systemClock, random: Math.random, logger }, ONCE_MS);
}

function apiOptions({ kubeconfig, servers, nodeName }: Config): ApiSourceOptions {
  return { kubeconfig, servers, nodeName, root: "", env: process.env };
}

/** Those of the URLs whose host is an address. Names are not resolved: what they stand for may change at any time. */
export function serversByAddress(urls: readonly string[]): readonly ApiServer[] {
  return urls.flatMap((url) => {
    const { hostname, port, protocol } = new URL(url);
    const address = parseAddress(hostname.replace(/[[\]]/g, ""));
    return address === undefined ? [] : [{ address, port: Number(port || (protocol === "http:" ? 80 : 443)) }];
  });
}
