import { isoTime } from "../model/time/clock.ts";
import type { DriftCount, ObjectCounts } from "../sync/sync-report.ts";
import type { AgentTimes } from "./service/service-view.ts";

/** The state of a running agent. */
export interface AgentReport extends AgentTimes {
  readonly node: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  /** As /readyz, with its reason; "" if it is ready. */
  readonly ready: boolean;
  readonly reason: string;
  /** The duration of the last resync; 0 before the first. */
  readonly resyncMs: number;
  /** What the last resync found that another program had changed. */
  readonly drift: readonly DriftCount[];
  /** Absent before the first resync. */
  readonly desired?: ObjectCounts;
  readonly actual?: ObjectCounts;
  readonly foreignServers: number;
  readonly drainingRealServers: number;
  /** The first operations that the kernel refuses, each with its cause. */
  readonly failures: readonly string[];
  readonly failedObjects: number;
  readonly nodeProblems: readonly string[];
  /** The number of problems of Services and other objects. */
  readonly objectProblems: number;
}

/** The report as text for a terminal. */
export function reportText(report: AgentReport): string {
  const { node, version, uptimeSeconds, ready, reason, desired, actual, failures, failedObjects } = report;
  const counts = (name: string, of: ObjectCounts | undefined) =>
    of === undefined
      ? []
      : [
          `${name.padEnd(8)} ${of.virtualServers} virtual servers, ${of.realServers} real servers, ${of.addresses} addresses, ${of.entries} set members`,
        ];
  return `${[
    `node ${node}: ${ready ? "ready" : `not ready: ${reason}`}`,
    `kube-ipvs ${version}, running for ${uptimeSeconds} s`,
    ...counts("desired", desired),
    ...counts("actual", actual),
    `other    ${report.foreignServers} virtual servers of other programs, ${report.drainingRealServers} draining real servers`,
    syncLine(report),
    ...report.drift.map(({ object, kind, count }) => `drift: the last resync found ${count} ${kind} ${object}`),
    ...failures.map((failure) => `failed: ${failure}`),
    ...(failedObjects > failures.length ? [`failed: ${failedObjects - failures.length} more`] : []),
    ...report.nodeProblems.map((problem) => `node: ${problem}`),
    ...(report.objectProblems > 0
      ? [`objects: ${report.objectProblems} problems; explain names those of a Service`]
      : []),
  ].join("\n")}\n`;
}

function syncLine({ lastSyncUnixMs, lastResyncUnixMs, resyncMs, isPending }: AgentReport): string {
  const at = (what: string, unixMs: number) => `${what} ${unixMs === 0 ? "not yet" : isoTime(unixMs)}`;
  const pending = isPending ? ", changes wait for a sync" : "";
  return `${at("last sync", lastSyncUnixMs)}, ${at("last resync", lastResyncUnixMs)} (${resyncMs} ms)${pending}`;
}
