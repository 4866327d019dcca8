import type { Clock } from "../model/clock.ts";
import type { Notice } from "../model/cluster/notice.ts";
import type { Problem } from "../model/cluster/problem.ts";
import type { Logger } from "../model/logger.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import type { ReflectorStats } from "./api/reflector-stats.ts";

/** What a source works with. */
export interface SourceDependencies {
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/** Receives what a source reads. */
export interface SourceListener {
  /** Called for each change, many in one turn. */
  onEvent(event: ClusterEvent): void;
  /** Called when the set of problems changes: how many there are now, and those that are new. */
  onProblems(count: number, fresh: readonly Problem[]): void;
  /** Ends the source. No callback is called after that. */
  readonly signal: AbortSignal;
}

/** The state of a cluster at one time, or nearly: an API server sends its resources side by side. */
export interface ClusterState {
  readonly events: readonly ClusterEvent[];
  readonly problems: readonly Problem[];
}

/** A place where Services come from. */
export interface Source {
  /**
   * Emits the present state and then each change, until the signal aborts. Rejects when the configuration cannot be used and
   * when the listener throws. Called at most once.
   */
  run(listener: SourceListener): Promise<void>;
  /** Reads the state once. Rejects when it cannot be read completely. */
  read(): Promise<ClusterState>;
  /** URLs of the API servers, as far as they are known. */
  servers(): readonly string[];
  /** Which first lists are missing and why, as text for people that shows no secret; "" when none is missing. */
  missing(): string;
  /** Counts of each resource that is watched at an API server. */
  stats(): readonly ReflectorStats[];
  /** Records an Event in the cluster. Returns at once; the Event is written later, or lost. */
  record(event: Notice): void;
}
