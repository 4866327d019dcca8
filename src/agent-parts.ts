import type { Kernel } from "./kernel/kernel.ts";
import type { HealthCheck } from "./model/cluster/health-check.ts";
import type { Notice } from "./model/cluster/notice.ts";
import type { Logger } from "./model/logger.ts";
import type { Clock } from "./model/time/clock.ts";
import type { ApiServer } from "./node/reserved-addresses.ts";
import type { Metrics } from "./serve/metrics/metrics.ts";

/** What the agent works with. */
export interface AgentParts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Resolves after the event loop had a turn. */
  readonly nextTurn: () => Promise<void>;
  /** Which first lists the source has not told yet and why, for people. */
  readonly missing: () => string;
  /** API servers that are known beside what the cluster says. */
  readonly apiServers: () => readonly ApiServer[];
  /** Is given all health checks whenever they have changed, but not before the first sync is complete. */
  readonly onHealthChecks: (checks: Iterable<HealthCheck>) => void;
  /** Tells the cluster, at once and whatever comes of it. */
  readonly tell: (notice: Notice) => void;
  /** From 0 to 1. */
  readonly random: () => number;
}
