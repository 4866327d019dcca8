import { getActiveResourcesInfo } from "node:process";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";

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
  registerGoroutines(registry);
}

/** Registers the stand-in for the number of goroutines. */
export function registerGoroutines(registry: Registry): void {
  new Gauge({
    name: "go_goroutines",
    help: "Not goroutines, because this program is not written in Go: the number of open sockets, timers, files and requests of Node.js. It takes their place in dashboards of kube-proxy, and grows like them when something leaks.",
    registers: [registry],
    collect() {
      this.set(getActiveResourcesInfo().length);
    },
  });
}
