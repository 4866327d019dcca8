import { Counter, Gauge, type Registry } from "prom-client";
import type { Readings } from "../../model/time/clock.ts";
import { UnixTimes } from "./unix-times.ts";

/** The counts of the watch of one resource of the API server. Times are of `Clock.now`, 0 before the first. */
export interface WatchCounts {
  readonly resource: string;
  readonly objects: number;
  readonly lists: number;
  /** The number of ended requests by reason: a word of this program or an HTTP status code. */
  readonly endings: ReadonlyMap<string, number>;
  readonly events: number;
  readonly bytes: number;
  readonly decodeErrors: number;
  readonly lastContactAtMs: number;
  readonly lastProgressAtMs: number;
}

const COUNTERS: Readonly<Record<string, readonly [help: string, value: (watch: WatchCounts) => number]>> = {
  kube_ipvs_watch_lists_total: [
    "Complete lists of a resource, the first included. More than one: the server no longer had the version from which the watch could continue.",
    ({ lists }) => lists,
  ],
  kube_ipvs_watch_events_total: [
    "Changes received from watches, and objects of lists received as a stream.",
    ({ events }) => events,
  ],
  kube_ipvs_watch_bytes_total: ["Bytes of lists and watches received from the API server.", ({ bytes }) => bytes],
  kube_ipvs_watch_decode_errors_total: [
    "Versions of objects with an invalid field. The log names object, field and value.",
    ({ decodeErrors }) => decodeErrors,
  ],
};

/** Registers the metrics of watches. `watches` is called at each scrape, and its counts never decrease. */
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
    help: "Ended lists and watches by reason: an HTTP status code, ended (normal end), lost, no-answer, malformed and others. They are started again.",
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
    help: "Objects of a resource in the cache of the watch.",
    labelNames,
    registers,
    collect() {
      for (const { resource, objects } of watches()) this.set({ resource }, objects);
    },
  });
  new Gauge({
    name: "kube_ipvs_watch_last_contact_timestamp_seconds",
    help: "Unix time of the last byte from the API server, bookmarks included. 0 before the first. Minutes ago: the API server cannot be reached.",
    labelNames,
    registers,
    collect() {
      for (const { resource, lastContactAtMs } of watches()) this.set({ resource }, unixTimes.seconds(lastContactAtMs));
    },
  });
  new Gauge({
    name: "kube_ipvs_watch_last_progress_timestamp_seconds",
    help: "Unix time of the last list, change, bookmark or probe that showed that all changes are known. 0 before the first. Older than 15 minutes: the API server may respond, but changes do not arrive.",
    labelNames,
    registers,
    collect() {
      for (const { resource, lastProgressAtMs } of watches())
        this.set({ resource }, unixTimes.seconds(lastProgressAtMs));
    },
  });
}
