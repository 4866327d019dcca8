import type { EventRecord } from "../model/cluster/event-record.ts";
import type { Problem } from "../model/cluster/problem.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import type { ReflectorStats } from "./api/reflector-stats.ts";
import type { RequestObserver } from "./api/transport/request-observer.ts";

/** The dependencies of a source. */
export interface SourceDependencies {
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Observes the requests to API servers; by default nothing does. */
  readonly requests?: RequestObserver;
}

/** Receives the events and problems of a source. */
export interface SourceListener {
  /** Called for each change, many times in one turn, and without the listener as `this`. */
  readonly onEvent: (event: ClusterEvent) => void;
  /** Called when problems change: with the number of all problems, the new ones, and a function that returns all of that time. */
  onProblems(count: number, fresh: readonly Problem[], all: () => Iterable<Problem>): void;
  /** Stops the source. No callback is called after the abort. */
  readonly signal: AbortSignal;
}

/** The state of a cluster at about one time. An API server lists its resources concurrently, at different versions. */
export interface ClusterState {
  readonly events: readonly ClusterEvent[];
  readonly problems: readonly Problem[];
}

/** A source of Services: an API server or manifests. */
export interface Source {
  /**
   * Emits the present state and then each change, until the signal aborts. Rejects if the configuration is invalid, and if
   * the listener throws. Call it at most once.
   */
  run(listener: SourceListener): Promise<void>;
  /** Reads the state once. Rejects if it cannot be read completely. */
  read(): Promise<ClusterState>;
  /** The URLs of the API servers; empty before `run` knows them and for manifests. */
  servers(): readonly string[];
  /** The first lists that are missing and the causes, as text without secrets; "" if none is missing. */
  missing(): string;
  /** The statistics of each resource that is watched at an API server. */
  stats(): readonly ReflectorStats[];
  /**
   * Creates an object at the API server, and returns the object of the response. Rejects if the server refuses, if no response
   * comes within 10 s, and if there is no API server.
   */
  create(path: string, object: object): Promise<unknown>;
  /** Records an Event in the cluster. Returns at once; the Event is written later, or lost. */
  record(event: EventRecord): void;
}
