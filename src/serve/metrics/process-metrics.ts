import { collectDefaultMetrics, type Registry } from "prom-client";

/** Gauges of prom-client with the name of a counter, which promtool rejects. nodejs_active_* have the same by type. */
const MISNAMED_GAUGES = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/**
 * Registers the metrics of the process from prom-client: process_* and nodejs_*. Call it once in a process, because
 * prom-client observes garbage collection and never stops, and the registry is never freed.
 */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED_GAUGES) registry.removeSingleMetric(name);
}
