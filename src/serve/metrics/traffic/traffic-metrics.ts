import { Histogram, type Registry } from "prom-client";

/** Registers the metric of readings of traffic. Returns the function that records the duration of a reading. */
export function registerTrafficMetrics(registry: Registry): (durationMs: number) => void {
  const duration = new Histogram({
    name: "kube_ipvs_traffic_read_duration_seconds",
    help: "Duration of a reading of the counters of all virtual servers, with --service-traffic-metrics. It delays no sync, only the answer to Prometheus.",
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  });
  return (durationMs) => duration.observe(durationMs / 1000);
}
