import type { Notice } from "../../model/cluster/notice.ts";
import type { Problem } from "../../model/cluster/problem.ts";
import type { ClusterEvent } from "../../services/cluster-event.ts";
import type { ClusterState, Source, SourceDependencies, SourceListener } from "../source.ts";
import { ApiServerConfig, type ClusterAccess } from "./access/kubeconfig.ts";
import { OutageLog } from "./outage-log.ts";
import { ProblemLog } from "./problem-log.ts";
import { Reflector, type ReflectorParts } from "./reflector.ts";
import { missingLists, type ReflectorStats } from "./reflector-stats.ts";
import { watchedNode, watchedServiceCIDRs, watchedServices, watchedSlices } from "./resources.ts";
import { ApiTransport } from "./transport/api-transport.ts";
import type { WritingTransport } from "./transport/transport.ts";

export interface ApiSourceOptions extends ClusterAccess {
  readonly nodeName: string;
}

/** Writes to the API server over the connection of the source. */
export interface ServerWriter {
  /** Writes until the signal aborts. Rejects only on a bug. */
  run(transport: WritingTransport, signal: AbortSignal): Promise<void>;
}

/** Keeps Events until they are written to the API server. */
export interface EventQueue extends ServerWriter {
  tell(event: Notice): void;
}

/** Receives what a watch reads, and has what the watch works with. */
export interface ApiListener extends SourceDependencies, SourceListener {
  /** Writes Events to the server as long as the watch lasts. */
  readonly events: ServerWriter;
}

/** How long a source that is read once waits for an API server. */
const READ_MS = 30_000;

/** Services of an API server. Events are recorded there. */
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

  /** Tries again for 30 s. */
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

  record(event: Notice): void {
    this.#events.tell(event);
  }
}

/** An API server that is being watched. */
export interface ApiWatch {
  /** Settles after the signal is aborted and all is closed. Rejects at once when the listener throws, and only then. */
  readonly finished: Promise<void>;
  /** URLs of the API servers. */
  readonly servers: readonly string[];
  /** One for each resource, as it is now. */
  stats(): readonly ReflectorStats[];
}

/**
 * Tells the Services, EndpointSlices, ServiceCIDRs and this Node of an API server as events, for ever and through every failure of
 * server and network. Rejects when the configuration cannot be used at all.
 */
export async function watchApiServer(options: ApiSourceOptions, listener: ApiListener): Promise<ApiWatch> {
  const { clock, logger, random } = listener;
  const stop = new AbortController();
  listener.signal.addEventListener("abort", () => stop.abort(), { signal: stop.signal });
  if (listener.signal.aborted) stop.abort();
  const { signal } = stop;
  const config = await ApiServerConfig.load(options, { clock, random, logger, signal });
  const transport = new ApiTransport(config, { clock, logger, signal });
  const log = new ProblemLog();
  const sink = {
    onEvent: (event: ClusterEvent) => listener.onEvent(event),
    onProblems: (object: string, problems: readonly Problem[]) => log.record(object, problems),
  };
  const outages = new OutageLog({ clock, logger });
  const reflectors = reflectorsOf(options.nodeName, { transport, sink, clock, random, logger, outages });
  const running = [
    ...reflectors.map((reflector) => reflector.run(signal)),
    log.run(clock, signal, (count, fresh) => listener.onProblems(count, fresh)),
    listener.events.run(transport, signal),
    transport.run(),
  ];
  // Whichever fails takes the others down with it.
  const finished = Promise.all(running).then(
    () => {},
    (error: unknown) => {
      stop.abort();
      throw error;
    },
  );
  return { finished, servers: config.servers.map(String), stats: () => reflectors.map((reflector) => reflector.stats) };
}

/**
 * Reads the same once. Tries again as a watch does, but throws when not all is there after `patienceMs`, and when the
 * configuration cannot be used.
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
  const sink = {
    onEvent: (event: ClusterEvent) => {
      events.push(event);
      if (event.kind === "listed" && ++listed === reflectors.length) stop.abort();
    },
    onProblems: (object: string, found: readonly Problem[]) => void problems.set(object, found),
  };
  const transport = new ApiTransport(config, { clock, logger, signal });
  const outages = new OutageLog({ clock, logger });
  const reflectors = reflectorsOf(options.nodeName, { transport, sink, clock, random, logger, outages });
  const running = reflectors.map((reflector) => reflector.run(signal));
  await clock.sleep(patienceMs, signal);
  const missing = missingLists(
    reflectors.map((reflector) => reflector.stats),
    "trouble",
  );
  stop.abort();
  await Promise.all(running);
  if (missing !== "") throw new Error(`Cannot list all that is needed within ${patienceMs / 1000} s: ${missing}`);
  return { events, problems: [...problems.values()].flat() };
}

function reflectorsOf(nodeName: string, parts: ReflectorParts) {
  return [
    new Reflector(watchedNode(nodeName), parts),
    new Reflector(watchedSlices(), parts),
    new Reflector(watchedServices(), parts),
    new Reflector(watchedServiceCIDRs(), parts),
  ];
}
