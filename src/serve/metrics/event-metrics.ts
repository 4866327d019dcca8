import { Counter, type Registry } from "prom-client";

/** What became of what was to be told to the cluster, since the start. */
export interface EventTally {
  readonly sent: number;
  readonly known: number;
  readonly dropped: number;
  readonly failed: number;
}

/** Registers what the writer of Events counts; it is fetched when scraped, and never less than before. */
export function registerEventMetrics(registry: Registry, tally: () => EventTally): void {
  new Counter({
    name: "kube_ipvs_events_total",
    help: "Events for the API server by result: sent, known from another node, dropped for want of room, failed.",
    labelNames: ["result"] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(tally())) this.inc({ result }, count);
    },
  });
}
