import { Counter, Gauge, Registry } from "prom-client";

/** The result of a health check, in the words of Kubernetes. */
export type CheckStatus = "success" | "error";

/**
 * The service level indicators of a Kubernetes component (KEP-3466): the results of its health checks. They have a registry of
 * their own, and are 0 or absent after `reset`.
 */
export class SliMetrics {
  readonly registry = new Registry();
  readonly #current: Gauge<"name" | "type">;
  readonly #results: Counter<"name" | "status" | "type">;

  /** `process` has the metric process_start_time_seconds of prom-client, which is one of the indicators. */
  constructor(process: Registry) {
    const registers = [this.registry];
    this.#current = new Gauge({
      name: "kubernetes_healthcheck",
      help: "Result of the last run of a health check: 1 for success, 0 for an error.",
      labelNames: ["name", "type"] as const,
      registers,
    });
    this.#results = new Counter({
      name: "kubernetes_healthchecks_total",
      help: "Runs of a health check by result.",
      labelNames: ["name", "status", "type"] as const,
      registers,
    });
    const startTime = process.getSingleMetric("process_start_time_seconds");
    if (startTime !== undefined) this.registry.registerMetric(startTime);
  }

  /** Records a run of the check `name`, which belongs to the probe `type`, such as "healthz". */
  record(name: string, type: string, status: CheckStatus): void {
    this.#current.set({ name, type }, status === "success" ? 1 : 0);
    this.#results.inc({ name, status, type });
  }

  /** Removes all results. */
  reset(): void {
    this.#current.reset();
    this.#results.reset();
  }
}
