import { collectDefaultMetrics, type Registry } from "prom-client";

/** Gauges of prom-client's that are named like counters, which promtool refuses; nodejs_active_* tell the same by type. */
const MISNAMED_GAUGES = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/**
 * What prom-client measures of the process: process_* and nodejs_*. Once for a process: it observes each garbage collection and
 * never stops, so that the registry is not freed.
 */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED_GAUGES) registry.removeSingleMetric(name);
}
