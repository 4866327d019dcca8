import { Gauge, type Registry } from "prom-client";
import type { IPFamily } from "../../model/address.ts";
import type { UnixTimes } from "./unix-times.ts";

/**
 * The metrics of times of syncs. Times are of `Clock.now`. The metrics with names of kube-proxy are absent until their
 * time is set.
 */
export class SyncTimes {
  lastSuccessMs: number | undefined;
  lastQueuedMs: number | undefined;
  /** 0 if nothing is pending. */
  oldestPendingMs = 0;
  /** 0 if nothing drains. */
  oldestDrainMs = 0;
  /** 0 before the first resync has ended. */
  lastResyncMs = 0;

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
      "Unix time of the last sync after which the kernel held all desired objects.",
      () => this.lastSuccessMs,
    );
    byFamily(
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "Unix time of the last request for a sync. Later than the last success for minutes: syncs are failing.",
      () => this.lastQueuedMs,
    );
    const own = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(unixTimes.seconds(read()));
        },
      });
    own(
      "kube_ipvs_oldest_pending_timestamp_seconds",
      "Unix time at which the oldest pending work was requested, failed operations included. 0 if no work is pending.",
      () => this.oldestPendingMs,
    );
    own(
      "kube_ipvs_oldest_drain_timestamp_seconds",
      "Unix time at which the oldest drain began. 0 if no real server drains.",
      () => this.oldestDrainMs,
    );
    own(
      "kube_ipvs_last_resync_timestamp_seconds",
      "Unix time at which the last resync ended. 0 before the first. Much older than the sync period, or than 100 times the CPU time of a resync if that is longer: the kernel cannot be read.",
      () => this.lastResyncMs,
    );
  }
}
