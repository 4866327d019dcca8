import type { Kernel } from "./kernel/kernel.ts";
import type { EventRecord } from "./model/cluster/event-record.ts";
import type { HealthCheck } from "./model/cluster/health-check.ts";
import type { Logger } from "./model/logger.ts";
import type { Clock } from "./model/time/clock.ts";
import type { ApiServer } from "./node/reserved-addresses.ts";
import type { Metrics } from "./serve/metrics/metrics.ts";

/** The dependencies of the agent. */
export interface AgentDependencies {
  readonly kernel: Kernel;
  readonly clock: Clock;
  /** The CPU time that this process has used, its own and the kernel's on its behalf. */
  readonly cpuMs: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Receives the syncs and latencies that the status page shows; absent without the page. */
  readonly history?: Pick<Metrics, "record" | "recordProgrammed" | "recordResync">;
  /** Resolves after the event loop had a turn. */
  readonly nextTurn: () => Promise<void>;
  /** Returns text that names the first lists which are not complete, with the reason. */
  readonly missing: () => string;
  /** The API servers that are known in addition to those in the cluster's objects. */
  readonly apiServers: () => readonly ApiServer[];
  /** Receives all health checks whenever they have changed, but not before the first sync is complete. */
  readonly onHealthChecks: (checks: Iterable<HealthCheck>) => void;
  /** Queues an Event. */
  readonly recordEvent: (event: EventRecord) => void;
  /** From 0 to 1. */
  readonly random: () => number;
}
