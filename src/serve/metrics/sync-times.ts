import { Gauge, type Registry } from "prom-client";
import type { IPFamily } from "../../model/address.ts";
import type { UnixTimes } from "./unix-times.ts";

/** When syncs were asked for and succeeded, as metrics. Times are of `Clock.now`; one of kube-proxy's is absent before it is set. */
export class SyncTimes {
  lastSuccessMs: number | undefined;
  lastQueuedMs: number | undefined;
  /** 0 when nothing is pending. */
  oldestPendingMs = 0;

  /** Registers the gauges. */
  constructor(registry: Registry, families: readonly IPFamily[], unixTimes: UnixTimes) {
    const registers = [registry];
    const byFamily = (name: string, help: string, read: () => number | undefined) =>
      new Gauge({
        name,
        help,
        labelNames: ["ip_family"] as const,
        registers,
        collect() {
          const atMs = read();
          if (atMs === undefined) return;
          for (const ip_family of families) this.set({ ip_family }, unixTimes.seconds(atMs));
        },
      });
    byFamily(
      "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "Unix time of the last sync after which all that is wanted was in the kernel, nothing refused.",
      () => this.lastSuccessMs,
    );
    byFamily(
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "Unix time at which a sync was last asked for. Later than the last success for minutes: syncs are failing.",
      () => this.lastQueuedMs,
    );
    const oldestPending = () => unixTimes.seconds(this.oldestPendingMs);
    new Gauge({
      name: "kube_ipvs_oldest_pending_timestamp_seconds",
      help: "Unix time at which the oldest work not yet done was asked for, refused work included; 0 when all is done.",
      registers,
      collect() {
        this.set(oldestPending());
      },
    });
  }
}
