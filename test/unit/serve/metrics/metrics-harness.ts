import { Registry } from "prom-client";
import type { Errno } from "../../../../src/model/kernel/errno.ts";
import { registerEventMetrics } from "../../../../src/serve/metrics/event-metrics.ts";
import { Metrics } from "../../../../src/serve/metrics/metrics.ts";
import type { NetlinkCounts } from "../../../../src/serve/metrics/netlink-metrics.ts";
import { registerProcessMetrics } from "../../../../src/serve/metrics/process-metrics.ts";
import { registerWatchMetrics, type WatchCounts } from "../../../../src/serve/metrics/watch-metrics.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";

/** The metrics of an agent, and what they are made from. */
export function harness(families: readonly ("IPv4" | "IPv6")[] = ["IPv4", "IPv6"]) {
  const registry = new Registry();
  const counts = { sends: 0, messages: 0, errors: new Map<Errno, number>() };
  const clock = new HandClock();
  const metrics = new Metrics({ registry, families, marks: 255, clock, netlink: (): NetlinkCounts => counts });
  registerProcessMetrics(registry);
  const watches: WatchCounts[] = [];
  registerWatchMetrics(registry, clock, () => watches);
  const events = { sent: 0, known: 0, dropped: 0, failed: 0 };
  registerEventMetrics(registry, () => events);
  /** The value of a sample by its exposed text, as `name{label="x"}`. */
  const sample = async (series: string) => {
    const line = (await registry.metrics()).split("\n").find((text) => text.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  return { registry, clock, counts, watches, events, metrics, sample };
}
