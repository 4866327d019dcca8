import type { IPFamily } from "../model/address.ts";
import type { ClusterNode } from "../model/cluster/service.ts";
import { dateOf, type Readings } from "../model/time/clock.ts";
import { formatDuration } from "../model/time/duration.ts";
import { describeFailure } from "../sync/retry/failed-operation.ts";
import type { SyncReport } from "../sync/sync-report.ts";

/**
 * The facts from which the probes are answered. Times are of `Clock.now`; 0 means never.
 *
 * - `failingSinceMs`: the time of the first request to the kernel that failed; 0 while requests succeed.
 * - `failure`: why the last of them failed, with the cure.
 * - `synced`: whether a sync has programmed all pending work except failed operations.
 * - `node`: the Node object of this node; undefined while it is unknown.
 * - `rulesFailed`: the reasons for which iptables rules are not written; empty if all rules are written.
 * - `failed`: the number of kernel objects whose operation fails, and texts of the first failures.
 * - `wrongSysctls`: texts of the sysctls that Services need and that are wrong, with the cure.
 * - `missing`: text of the first lists that have not arrived; "" if all have arrived.
 */
export interface HealthFacts {
  readonly families: readonly IPFamily[];
  readonly syncPeriodMs: number;
  readonly startedAtMs: number;
  readonly node: Pick<ClusterNode, "leaving"> | undefined;
  readonly missing: string;
  readonly rulesFailed: readonly string[];
  readonly failed: { readonly count: number; readonly first: readonly string[] };
  readonly wrongSysctls: readonly string[];
  readonly synced: boolean;
  readonly lastSyncMs: number;
  readonly lastSuccessMs: number;
  readonly oldestPendingMs: number;
  readonly failingSinceMs: number;
  readonly failure: string;
}

/** The number of failures that a text shows: enough to see what they have in common. */
const SHOWN_FAILURES = 3;

/** The facts before the first sync. */
export function healthAtStart(
  start: Pick<HealthFacts, "families" | "syncPeriodMs" | "startedAtMs" | "node">,
): HealthFacts {
  return {
    ...start,
    missing: "",
    rulesFailed: [],
    failed: { count: 0, first: [] },
    wrongSysctls: [],
    synced: false,
    lastSyncMs: 0,
    lastSuccessMs: 0,
    oldestPendingMs: 0,
    failingSinceMs: 0,
    failure: "",
  };
}

/** Whether the kernel holds all desired objects: no operation failed, and none waits for a retry. */
export function succeeded({ clean, pending, state }: SyncReport): boolean {
  return clean && pending === 0 && state.failedObjects === 0;
}

/** The facts after a sync to which the kernel responded, with or without failed operations. */
export function healthAfterSync(facts: HealthFacts, report: SyncReport): HealthFacts {
  const endedAtMs = report.startedAtMs + report.durationMs;
  return {
    ...facts,
    synced: facts.synced || report.pending === 0,
    lastSyncMs: endedAtMs,
    lastSuccessMs: succeeded(report) ? endedAtMs : facts.lastSuccessMs,
    oldestPendingMs: report.state.oldestPendingMs,
    failed: {
      count: report.state.failedObjects,
      first: report.failures.standing.slice(0, SHOWN_FAILURES).map(describeFailure),
    },
    failingSinceMs: 0,
  };
}

/** The facts after a sync was requested: work is pending until a sync reports that none is. */
export function healthAfterRequest(facts: HealthFacts, nowMs: number): HealthFacts {
  return facts.oldestPendingMs === 0 ? { ...facts, oldestPendingMs: nowMs } : facts;
}

/** The facts after a request to the kernel failed or got no answer, for this reason. */
export function healthAfterFailure(facts: HealthFacts, nowMs: number, failure: string): HealthFacts {
  return { ...facts, failure, failingSinceMs: facts.failingSinceMs === 0 ? nowMs : facts.failingSinceMs };
}

/** The facts after a resync to which the kernel responded. */
export function healthAfterResync(facts: HealthFacts): HealthFacts {
  return facts.failingSinceMs === 0 ? facts : { ...facts, failingSinceMs: 0 };
}

/** The result of a node preparation: the rules that could not be written, and the sysctls that are wrong. */
export interface PreparationResult {
  readonly ruleFailures: readonly { readonly message: string }[];
  readonly wrongSysctls: readonly { readonly text: string; readonly required: boolean }[];
}

/** The facts after a node preparation with this result. */
export function healthAfterPrepare(facts: HealthFacts, { ruleFailures, wrongSysctls }: PreparationResult): HealthFacts {
  return {
    ...facts,
    rulesFailed: ruleFailures.slice(0, SHOWN_FAILURES).map(({ message }) => message),
    wrongSysctls: wrongSysctls.filter(({ required }) => required).map(({ text }) => text),
  };
}

export interface HealthAnswer {
  readonly status: 200 | 503;
  /** JSON, keys in kube-proxy's order, no newline at the end. */
  readonly body: string;
}

export type Probe = "healthz" | "livez" | "readyz";

/**
 * Answers a probe.
 *
 * - livez: 503 if a restart may help, that is, if for two sync periods the kernel has not responded or pending work has
 *   not been attempted. A failed operation does not count, because it would fail again after a restart.
 * - healthz: 200 if livez is 200 and the node exists and is not leaving. Load balancers use this probe. A failed operation
 *   does not count, because one Service whose operation fails on every node would take all nodes from all Services.
 * - readyz: 200 if livez is 200, the first lists have arrived, the first sync is complete, the iptables rules are written,
 *   the sysctls that Services need are right, and no work, failed operations included, has waited for two sync periods. So
 *   a rollout stops at the first node that cannot be programmed.
 *
 * `utcOffsetMinutes` is the offset of the time zone of the response. The wall clock affects only the times in the response.
 */
export function answerProbe(probe: Probe, facts: HealthFacts, clock: Readings, utcOffsetMinutes: number): HealthAnswer {
  const nowMs = clock.now();
  const isAlive = isLive(facts, nowMs);
  switch (probe) {
    case "livez":
      return answer(isAlive, { healthy: isAlive });
    case "healthz": {
      const nodeEligible = facts.node !== undefined && !facts.node.leaving;
      return answer(isAlive && nodeEligible, { nodeEligible, healthy: isAlive });
    }
    case "readyz": {
      const reason = unreadyReason(facts, nowMs);
      return answer(reason === "", { healthy: reason === "", ...(reason !== "" && { reason }) });
    }
  }

  function answer(isGood: boolean, state: ProbeState): HealthAnswer {
    const updatedMs = Math.max(facts.startedAtMs, facts.lastSuccessMs);
    const lastUpdated = goTime(dateOf(updatedMs, clock), utcOffsetMinutes);
    const currentTime = goTime(clock.date(), utcOffsetMinutes);
    const engine = { lastUpdated, healthy: state.healthy };
    const body = {
      lastUpdated: isGood ? currentTime : lastUpdated,
      currentTime,
      ...state,
      // One agent serves both families. kube-proxy has one proxier for each family and shows both.
      ...(facts.families.length > 0 && { status: Object.fromEntries(facts.families.map((name) => [name, engine])) }),
    };
    return { status: isGood ? 200 : 503, body: JSON.stringify(body) };
  }
}

interface ProbeState {
  readonly nodeEligible?: boolean;
  readonly healthy: boolean;
  /** The reason for which the agent is not ready. */
  readonly reason?: string;
}

/** Whether this time is two sync periods ago; 0 means never. */
function isOld(sinceMs: number, { syncPeriodMs }: HealthFacts, nowMs: number): boolean {
  return sinceMs !== 0 && nowMs - sinceMs >= 2 * syncPeriodMs;
}

function isLive(facts: HealthFacts, nowMs: number): boolean {
  const { oldestPendingMs, lastSyncMs, failingSinceMs } = facts;
  const unattemptedMs = oldestPendingMs === 0 ? 0 : Math.max(oldestPendingMs, lastSyncMs);
  return !isOld(failingSinceMs, facts, nowMs) && !isOld(unattemptedMs, facts, nowMs);
}

/** The reason for which the agent is not ready at this time of `Clock.now`; "" if it is ready. */
export function unreadyReason(facts: HealthFacts, nowMs: number): string {
  if (!isLive(facts, nowMs)) return deadReason(facts, nowMs);
  return unreadiness(facts, nowMs);
}

/** The reason for which a restart may help. */
function deadReason(facts: HealthFacts, nowMs: number): string {
  const { failingSinceMs, failure, oldestPendingMs, lastSyncMs } = facts;
  if (isOld(failingSinceMs, facts, nowMs))
    return `requests to the kernel have failed for ${since(failingSinceMs, nowMs)}: ${failure}. If it stays after a restart of the agent, look at the log of the kernel (dmesg)`;
  return `no sync has run for ${since(Math.max(oldestPendingMs, lastSyncMs), nowMs)} although changes wait: the agent hangs, and its liveness probe restarts it; report its log (kube-ipvs support-bundle)`;
}

function since(sinceMs: number, nowMs: number): string {
  return formatDuration(Math.round((nowMs - sinceMs) / 1000) * 1000);
}

/** The reason for which a live agent is not ready; "" if it is ready. */
function unreadiness(facts: HealthFacts, nowMs: number): string {
  const { missing, synced, rulesFailed, wrongSysctls, failed, failingSinceMs, failure, oldestPendingMs } = facts;
  if (missing !== "") return `waiting for the first lists: ${missing}`;
  if (!synced)
    return failingSinceMs === 0
      ? "the first sync is not complete: it runs, wait some seconds"
      : `the first sync is not complete: ${failure}`;
  if (wrongSysctls.length > 0) return wrongSysctls.join("; ");
  if (rulesFailed.length > 0) return rulesFailed.join("; ");
  if (!isOld(oldestPendingMs, facts, nowMs)) return "";
  if (failed.count > 0) return failuresText(failed);
  return `syncs do not keep up with changes: the oldest change has waited for ${since(oldestPendingMs, nowMs)}. Give the agent more CPU (the limits of its pod)`;
}

/** Returns, for example, "cannot program 5 kernel objects: Cannot bind …; Cannot add …; Cannot add …; and 2 more". */
function failuresText({ count, first }: HealthFacts["failed"]): string {
  const rest = first.length === 0 ? "see the metric kube_ipvs_operations_total" : `and ${count - first.length} more`;
  const shown = count > first.length ? [...first, rest] : first;
  return `cannot program ${count} kernel ${count === 1 ? "object" : "objects"}: ${shown.join("; ")}`;
}

/** The text of a time as Go's encoding/json writes it: RFC 3339 without zeros at the end of the fraction. */
export function goTime(date: Date, utcOffsetMinutes: number): string {
  const local = new Date(date.getTime() + utcOffsetMinutes * 60_000).toISOString();
  return local.replace(/\.?0*Z$/, zone(utcOffsetMinutes));
}

function zone(offsetMinutes: number): string {
  if (offsetMinutes === 0) return "Z";
  const minutes = Math.abs(offsetMinutes);
  const parts = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0"));
  return `${offsetMinutes < 0 ? "-" : "+"}${parts.join(":")}`;
}
