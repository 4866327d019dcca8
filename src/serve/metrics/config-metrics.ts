import { Gauge, type Registry } from "prom-client";
import type { Readings } from "../../model/time/clock.ts";
import { UnixTimes } from "./unix-times.ts";

/** The state of the configuration file. */
export interface ConfigFileState {
  /** Whether the file was valid when it was read last. True without a file. */
  readonly valid: boolean;
  /** When the configuration in use was read, as a time of `Clock.now`. */
  readonly loadedAtMs: number;
}

/** Registers the metrics of the configuration file. `state` is called at each scrape. */
export function registerConfigMetrics(registry: Registry, clock: Readings, state: () => ConfigFileState): void {
  const times = new UnixTimes(clock);
  new Gauge({
    name: "kube_ipvs_config_last_reload_successful",
    help: "Whether the configuration file was valid when it was read last (1), or is invalid and the earlier configuration stays in use (0). Alert on 0: a restarted agent would not start.",
    registers: [registry],
    collect() {
      this.set(state().valid ? 1 : 0);
    },
  });
  new Gauge({
    name: "kube_ipvs_config_last_reload_success_timestamp_seconds",
    help: "When the configuration in use was read.",
    registers: [registry],
    collect() {
      this.set(times.seconds(state().loadedAtMs));
    },
  });
}
