import type { Logger } from "../../../../src/model/logger.ts";
import { OutageLog } from "../../../../src/sources/api/outage/outage-log.ts";
import { Reflector } from "../../../../src/sources/api/reflector.ts";
import type { ReflectorStats } from "../../../../src/sources/api/reflector-stats.ts";
import { watchedServices } from "../../../../src/sources/api/resources.ts";
import type { EventHandler } from "../../../../src/sources/api/watch-cache.ts";
import { ApiModel, type ApiRequest } from "../api-model.ts";
import { Replication } from "../replication.ts";
import { HandClock, settle } from "./hand-clock.ts";
import { type Fault, ModelTransport } from "./model-transport.ts";
import { apiService, ReportedCluster } from "./reported-cluster.ts";
import { SILENT_LOGGER } from "./silent-logger.ts";

const SERVICES = "/api/v1/services";

export interface WorldOptions {
  /** In [0, 1); half by default. */
  readonly random?: () => number;
  readonly handler?: EventHandler;
  /** By default nothing is logged. */
  readonly logger?: Logger;
  /** Two servers instead of one. */
  readonly second?: boolean;
}

/** A reflector of Services before an API server without network, on a clock that stands still. */
export class WatchWorld {
  readonly clock = new HandClock();
  readonly model = new ApiModel(this.clock);
  /** Another server, which has what the first has unless `replication` is held; used where `second` says so. */
  readonly other = new ApiModel(this.clock);
  readonly replication = new Replication(this.model.store, this.other.store);
  readonly transport: ModelTransport;
  readonly told = new ReportedCluster();
  /** What the next requests meet, in turn. */
  readonly faults: (Fault | undefined)[] = [];
  /** Requests, the failed ones too. */
  readonly requests: ApiRequest[] = [];
  readonly requestedAtMs: number[] = [];
  readonly #reflector: Reflector<string, unknown>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor({ random = () => 0.5, handler, logger = SILENT_LOGGER, second = false }: WorldOptions = {}) {
    this.transport = second ? new ModelTransport(this.model, this.other) : new ModelTransport(this.model);
    this.transport.fault = (request) => {
      this.requests.push(request);
      this.requestedAtMs.push(this.clock.now());
      return this.faults.shift();
    };
    const { transport, clock, told } = this;
    const outages = new OutageLog({ clock, logger });
    const parts = { transport, handler: handler ?? told, clock, random, logger, outages };
    this.#reflector = new Reflector(watchedServices(), parts);
  }

  get stats(): ReflectorStats {
    return this.#reflector.stats;
  }

  /** Rejects with what the handler threw. */
  start(): Promise<void> {
    this.#running = this.#reflector.run(this.#stop.signal);
    return this.#running;
  }

  /** Starts with these Services, all in revision 1, and waits until they have been told. */
  async startWith(...names: readonly string[]): Promise<void> {
    for (const name of names) this.put(name, 1);
    void this.start();
    await settle();
    this.told.events.length = 0;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  put(name: string, revision: number): void {
    this.model.store.put(SERVICES, apiService(name, revision));
  }

  delete(name: string): void {
    this.model.store.delete(SERVICES, `demo/${name}`);
  }

  /** What has been told since the last call. */
  async news(afterMs = 0): Promise<readonly string[]> {
    await this.clock.advance(afterMs);
    return this.told.events.splice(0);
  }

  /** Each request as "watch from 12", "stream from ''" or "list from 0". */
  get asked(): readonly string[] {
    return this.requests.map(({ query }) => {
      const kind =
        query.get("watch") === null ? "list" : query.get("sendInitialEvents") === "true" ? "stream" : "watch";
      const page = query.get("continue") === null ? "" : " page";
      return `${kind}${page} from '${query.get("resourceVersion") ?? ""}'`;
    });
  }
}
