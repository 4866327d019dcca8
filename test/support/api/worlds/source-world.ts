import { EventRecorder } from "../../../../src/events/event-recorder.ts";
import type { Problem } from "../../../../src/model/cluster/problem.ts";
import type { Logger } from "../../../../src/model/logger.ts";
import type { ClusterEvent } from "../../../../src/services/cluster-event.ts";
import { type ApiWatch, watchApiServer } from "../../../../src/sources/api/api-source.ts";
import { ApiModel } from "../api-model.ts";
import { ApiServer, type ApiServerOptions } from "../api-server.ts";
import { HandClock } from "./hand-clock.ts";
import { ReportedCluster } from "./reported-cluster.ts";
import { SILENT_LOGGER } from "./silent-logger.ts";
import { until } from "./test-access.ts";

const AUTHORITY = new URL("../../../fixtures/apiserver/tls/a.crt", import.meta.url).pathname;

/** The whole source before a server on a real socket, on a clock that moves only while nothing is on its way. */
export class SourceWorld {
  readonly clock = new HandClock();
  readonly model = new ApiModel(this.clock);
  readonly told = new ReportedCluster();
  readonly writer = new EventRecorder("node-1", { clock: this.clock, random: () => 0, logger: SILENT_LOGGER });
  readonly problems: { readonly count: number; readonly fresh: readonly Problem[] }[] = [];
  /** Called after each event has been noted. */
  onEvent: (event: ClusterEvent) => void = () => {};
  readonly #stop = new AbortController();
  readonly #logger: Logger;
  #options: ApiServerOptions = {};
  #server: ApiServer | undefined;
  #source: ApiWatch | undefined;

  constructor(logger: Logger = SILENT_LOGGER) {
    this.#logger = logger;
  }

  get server(): ApiServer {
    if (this.#server === undefined) throw new Error("not started");
    return this.#server;
  }

  get source(): ApiWatch {
    if (this.#source === undefined) throw new Error("not started");
    return this.#source;
  }

  async serve(options: ApiServerOptions = {}): Promise<void> {
    this.#options = options;
    this.#server = await ApiServer.start(this.model, options);
  }

  /** Kills the server and starts it again at the same address; `meanwhile` is when nobody hears of anything. */
  async restart(meanwhile: () => void | Promise<void> = () => {}): Promise<void> {
    const { port } = this.server;
    await this.server.close();
    await meanwhile();
    await this.serve({ ...this.#options, port });
  }

  /** A kubeconfig of the server; `user` as JSON. */
  kubeconfig(user: string): string {
    return `{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}],
      clusters: [{name: c, cluster: {server: "${this.server.url}", certificate-authority: ${AUTHORITY}}}],
      users: [{name: u, user: ${user}}]}`;
  }

  async watch(
    kubeconfig: string,
    root = "",
    random: () => number = () => 0.5,
    servers: readonly string[] = [],
  ): Promise<void> {
    this.#source = await watchApiServer(
      { kubeconfig, servers, root, env: process.env, nodeName: "node-1" },
      {
        clock: this.clock,
        random,
        logger: this.#logger,
        events: this.writer,
        signal: this.#stop.signal,
        onEvent: (event) => {
          this.told.onEvent(event);
          this.onEvent(event);
        },
        onProblems: (count, fresh) => void this.problems.push({ count, fresh }),
      },
    );
  }

  /** Waits for real sockets, and lets time pass whenever all resources only wait for it. */
  async until(what: string, isDone: () => boolean): Promise<void> {
    await until(what, async () => {
      if (isDone()) return true;
      await this.pass();
      return isDone();
    });
  }

  /** Lets some time pass, or as much as all resources wait for; true when none waits for anything but changes. */
  async pass(): Promise<boolean> {
    const states = new Set(this.source.stats().map(({ state }) => state));
    if (states.has("waiting") && states.size === 1) await this.clock.advanceToNext();
    else if (!states.has("listing")) await this.clock.advance(50);
    return states.has("watching") && states.size === 1;
  }

  /** Ends the source, then the server. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#source?.finished.catch(() => {});
    await this.#server?.close();
  }
}
