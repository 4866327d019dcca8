import { Gauge, type Registry } from "prom-client";

/** Registers what the health check node ports count; it is fetched when scraped. */
export function registerHealthCheckMetrics(
  registry: Registry,
  counts: () => { readonly listening: number; readonly refused: number },
): void {
  new Gauge({
    name: "kube_ipvs_health_check_ports",
    help: "Sockets of health check node ports by state: listening, or refused and tried again. While one is refused, load balancers cannot ask for its Service here.",
    labelNames: ["state"] as const,
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(counts())) this.set({ state }, count);
    },
  });
}
