import type { EventRecord } from "../../model/cluster/event-record.ts";
import type { Problem } from "../../model/cluster/problem.ts";
import type { ClusterEvent } from "../../services/cluster-event.ts";
import type { ClusterState, Source, SourceDependencies, SourceListener } from "../source.ts";
import { ApiServerConfig, type ClusterAccess } from "./access/kubeconfig.ts";
import { createObject } from "./create-object.ts";
import { OutageLog } from "./outage/outage-log.ts";
import { ProblemLog } from "./problem-log.ts";
import { Reflector, type ReflectorDependencies } from "./reflector.ts";
import { missingLists, type ReflectorStats } from "./reflector-stats.ts";
import { watchedNode, watchedServiceCIDRs, watchedServices, watchedSlices } from "./resources.ts";
import { ApiTransport } from "./transport/api-transport.ts";
import type { WritingTransport } from "./transport/transport.ts";

export interface ApiSourceOptions extends ClusterAccess {
  readonly nodeName: string;
}

/** Writes to the API server over the transport of the source. */
export interface ServerWriter {
  /** Writes until the signal aborts. Rejects only on a bug. */
  run(transport: WritingTransport, signal: AbortSignal): Promise<void>;
}

/** A queue of Events that are written to the API server. */
export interface EventQueue extends ServerWriter {
  record(event: EventRecord): void;
}

/** The callbacks and dependencies of a watched API server. */
export interface ApiListener extends SourceDependencies, SourceListener {
  /** Writes Events to the API server while the watch runs. */
  readonly events: ServerWriter;
}

/** The time limit of reading the state once. */
const READ_MS = 30_000;

/** The source of Services at an API server. Events are written there. */
export class ApiSource implements Source {
  readonly #options: ApiSourceOptions;
  readonly #dependencies: SourceDependencies;
  readonly #events: EventQueue;
  #watch: ApiWatch | undefined;

  constructor(options: ApiSourceOptions, dependencies: SourceDependencies, events: EventQueue) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#events = events;
  }

  async run(listener: SourceListener): Promise<void> {
    this.#watch = await watchApiServer(this.#options, { ...this.#dependencies, ...listener, events: this.#events });
    await this.#watch.finished;
  }

  /** Reads the state once. Failures are retried for 30 s. */
  async read(): Promise<ClusterState> {
    return await readApiServer(this.#options, this.#dependencies, READ_MS);
  }

  servers(): readonly string[] {
    return this.#watch?.servers ?? [];
  }

  missing(): string {
    return missingLists(this.stats(), "cause");
  }

  stats(): readonly ReflectorStats[] {
    return this.#watch?.stats() ?? [];
  }

  async create(path: string, object: object): Promise<unknown> {
    if (this.#watch === undefined) throw new Error("the API server is not connected yet");
    return await this.#watch.create(path, object);
  }

  record(event: EventRecord): void {
    this.#events.record(event);
  }
}

/** A watched API server. */
export interface ApiWatch {
  /** Resolves after the signal is aborted and everything is closed. Rejects at once if the listener throws. */
  readonly finished: Promise<void>;
  /** The URLs of the API servers. */
  readonly servers: readonly string[];
  /** The current statistics of each resource. */
  stats(): readonly ReflectorStats[];
  /** Creates an object, and returns the object of the response. */
  create(path: string, object: object): Promise<unknown>;
}

/**
 * Watches the Services, EndpointSlices, ServiceCIDRs and the Node of this node, and passes them on as events. It recovers
 * from every failure of server and network. Rejects if the configuration is invalid.
 */
export async function watchApiServer(options: ApiSourceOptions, listener: ApiListener): Promise<ApiWatch> {
  const { clock, logger, random, requests } = listener;
  const stop = new AbortController();
  listener.signal.addEventListener("abort", () => stop.abort(), { signal: stop.signal });
  if (listener.signal.aborted) stop.abort();
  const { signal } = stop;
  const config = await ApiServerConfig.load(options, { clock, random, logger, signal, requests });
  const transport = new ApiTransport(config, { clock, logger, signal, requests });
  const log = new ProblemLog();
  const handler = {
    onEvent: listener.onEvent,
    onProblems: (object: string, problems: readonly Problem[]) => log.record(object, problems),
  };
  const outages = new OutageLog({ clock, logger });
  const reflectors = reflectorsOf(options.nodeName, { transport, handler, clock, random, logger, outages });
  const running = [
    ...reflectors.map((reflector) => reflector.run(signal)),
    log.run(clock, signal, (count, fresh, all) => listener.onProblems(count, fresh, all)),
    listener.events.run(transport, signal),
    transport.run(),
  ];
  // If one part fails, the others stop.
  const finished = Promise.all(running).then(
    () => {},
    (error: unknown) => {
      stop.abort();
      throw error;
    },
  );
  return {
    finished,
    servers: config.servers.map(String),
    stats: () => reflectors.map((reflector) => reflector.stats),
    create: (path, object) => createObject(transport, path, object, { clock, signal }),
  };
}

/**
 * Reads the same resources once. Failures are retried as in `watchApiServer`. Throws if a list is missing after
 * `patienceMs`, and if the configuration is invalid.
 */
export async function readApiServer(
  options: ApiSourceOptions,
  { clock, random, logger }: SourceDependencies,
  patienceMs: number,
): Promise<ClusterState> {
  const stop = new AbortController();
  const { signal } = stop;
  const config = await ApiServerConfig.load(options, { clock, random, logger, signal });
  const events: ClusterEvent[] = [];
  const problems = new Map<string, readonly Problem[]>();
  let listed = 0;
  const handler = {
    onEvent: (event: ClusterEvent) => {
      events.push(event);
      if (event.kind === "listed" && ++listed === reflectors.length) stop.abort();
    },
    onProblems: (object: string, found: readonly Problem[]) => void problems.set(object, found),
  };
  const transport = new ApiTransport(config, { clock, logger, signal });
  const outages = new OutageLog({ clock, logger });
  const reflectors = reflectorsOf(options.nodeName, { transport, handler, clock, random, logger, outages });
  const running = reflectors.map((reflector) => reflector.run(signal));
  await clock.sleep(patienceMs, signal);
  const missing = missingLists(
    reflectors.map((reflector) => reflector.stats),
    "trouble",
  );
  stop.abort();
  await Promise.all(running);
  if (missing !== "") throw new Error(`Cannot read all lists within ${patienceMs / 1000} s: ${missing}`);
  return { events, problems: [...problems.values()].flat() };
}

function reflectorsOf(nodeName: string, dependencies: ReflectorDependencies) {
  return [
    new Reflector(watchedNode(nodeName), dependencies),
    new Reflector(watchedSlices(), dependencies),
    new Reflector(watchedServices(), dependencies),
    new Reflector(watchedServiceCIDRs(), dependencies),
  ];
}
