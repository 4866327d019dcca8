import { Gauge, type Registry } from "prom-client";

/** Registers the metric of health check node ports. `counts` is called at each scrape. */
export function registerHealthCheckMetrics(
  registry: Registry,
  counts: () => { readonly listening: number; readonly refused: number },
): void {
  new Gauge({
    name: "kube_ipvs_health_check_ports",
    help: "Sockets of health check node ports by state: listening, or refused (cannot listen, will retry). While a socket is refused, load balancers cannot check its Service on this node.",
    labelNames: ["state"] as const,
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(counts())) this.set({ state }, count);
    },
  });
}
