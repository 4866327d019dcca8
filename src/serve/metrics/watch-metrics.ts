import { Counter, Gauge, type Registry } from "prom-client";
import type { Readings } from "../../model/clock.ts";
import { UnixTimes } from "./unix-times.ts";

/** How the watch of one resource of the API server has fared. Times are of `Clock.now`, 0 before the first. */
export interface WatchCounts {
  readonly resource: string;
  readonly objects: number;
  readonly lists: number;
  /** By a few words and HTTP codes. */
  readonly endings: ReadonlyMap<string, number>;
  readonly events: number;
  readonly bytes: number;
  readonly decodeErrors: number;
  readonly lastContactAtMs: number;
  readonly lastProgressAtMs: number;
}

const COUNTERS: Readonly<Record<string, readonly [help: string, value: (watch: WatchCounts) => number]>> = {
  kube_ipvs_watch_lists_total: [
    "Complete lists of a resource, the first included. More than one: the server had forgotten where we were.",
    ({ lists }) => lists,
  ],
  kube_ipvs_watch_events_total: [
    "Changes told by watches, and objects of lists that came as a stream.",
    ({ events }) => events,
  ],
  kube_ipvs_watch_bytes_total: ["Bytes of lists and watches, as they came from the API server.", ({ bytes }) => bytes],
  kube_ipvs_watch_decode_errors_total: [
    "Versions of objects of which something could not be used. The log names object, field and value.",
    ({ decodeErrors }) => decodeErrors,
  ],
};

/** Registers what the watches count; it is fetched when scraped, and never less than before. None without an API server. */
export function registerWatchMetrics(registry: Registry, clock: Readings, watches: () => readonly WatchCounts[]): void {
  const unixTimes = new UnixTimes(clock);
  const registers = [registry];
  const labelNames = ["resource"] as const;
  for (const [name, [help, value]] of Object.entries(COUNTERS))
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const watch of watches()) this.inc({ resource: watch.resource }, value(watch));
      },
    });
  new Counter({
    name: "kube_ipvs_watch_endings_total",
    help: "Requests to the API server that ended, by reason: an HTTP code, ended in order, lost, no-answer, malformed and others. They are taken up again.",
    labelNames: ["resource", "reason"] as const,
    registers,
    collect() {
      this.reset();
      for (const { resource, endings } of watches())
        for (const [reason, count] of endings) this.inc({ resource, reason }, count);
    },
  });
  new Gauge({
    name: "kube_ipvs_watch_objects",
    help: "Objects of a resource that are there, as far as they were told.",
    labelNames,
    registers,
    collect() {
      for (const { resource, objects } of watches()) this.set({ resource }, objects);
    },
  });
  new Gauge({
    name: "kube_ipvs_watch_last_contact_timestamp_seconds",
    help: "Unix time at which the API server last said anything, bookmarks included; 0 before. Minutes ago: it cannot be reached.",
    labelNames,
    registers,
    collect() {
      for (const { resource, lastContactAtMs } of watches()) this.set({ resource }, unixTimes.seconds(lastContactAtMs));
    },
  });
  new Gauge({
    name: "kube_ipvs_watch_last_progress_timestamp_seconds",
    help: "Unix time at which a list, a change, a bookmark or a probe last showed that all changes are known; 0 before. A quarter of an hour ago: the API server may answer, but changes do not arrive.",
    labelNames,
    registers,
    collect() {
      for (const { resource, lastProgressAtMs } of watches())
        this.set({ resource }, unixTimes.seconds(lastProgressAtMs));
    },
  });
}
