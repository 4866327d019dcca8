import { Counter, type Registry } from "prom-client";

/** The number of Events by result since the start. */
export interface EventResults {
  readonly sent: number;
  readonly known: number;
  readonly dropped: number;
  readonly failed: number;
}

/** Registers the metric of Events. `results` is called at each scrape, and its counts never decrease. */
export function registerEventMetrics(registry: Registry, results: () => EventResults): void {
  new Counter({
    name: "kube_ipvs_events_total",
    help: "Kubernetes Events by result: sent, known (another node wrote the same Event), dropped (too many waiting), failed.",
    labelNames: ["result"] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(results())) this.inc({ result }, count);
    },
  });
}
