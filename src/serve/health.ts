import type { IPFamily } from "../model/address.ts";
import { dateOf, type Readings } from "../model/clock.ts";
import type { ClusterNode } from "../model/cluster/service.ts";
import { describeFailure } from "../sync/retry/failed-operation.ts";
import type { SyncReport } from "../sync/sync-report.ts";

/**
 * What health is judged by. Times are of `Clock.now`, 0 for never.
 *
 * - `failingSinceMs`: since when the kernel could not be asked; 0 while it answers.
 * - `synced`: a sync has once left nothing to be programmed but what the kernel refused.
 * - `node`: our Node object; undefined while unknown.
 * - `unruled`: why iptables rules are not written, for people; empty when all are.
 * - `refused`: kernel objects that are refused, and the first of the failures, for people.
 * - `wrongSysctls`: without which Services do not work, and what to do, for people.
 * - `missing`: first lists that have not come, for people; "" when all have.
 */
export interface HealthFacts {
  readonly families: readonly IPFamily[];
  readonly syncPeriodMs: number;
  readonly startedAtMs: number;
  readonly node: Pick<ClusterNode, "leaving"> | undefined;
  readonly missing: string;
  readonly unruled: readonly string[];
  readonly refused: { readonly count: number; readonly first: readonly string[] };
  readonly wrongSysctls: readonly string[];
  readonly synced: boolean;
  readonly lastSyncMs: number;
  readonly lastSuccessMs: number;
  readonly oldestPendingMs: number;
  readonly failingSinceMs: number;
}

/** So many failures are shown: enough to see what they have in common. */
const SHOWN_FAILURES = 3;

/** What is known before the first sync. */
export function healthAtStart(
  start: Pick<HealthFacts, "families" | "syncPeriodMs" | "startedAtMs" | "node">,
): HealthFacts {
  return {
    ...start,
    missing: "",
    unruled: [],
    refused: { count: 0, first: [] },
    wrongSysctls: [],
    synced: false,
    lastSyncMs: 0,
    lastSuccessMs: 0,
    oldestPendingMs: 0,
    failingSinceMs: 0,
  };
}

/** Whether all that is wanted is in the kernel: nothing was refused, or waits for its retry. */
export function succeeded({ clean, pending, state }: SyncReport): boolean {
  return clean && pending === 0 && state.refusedKeys === 0;
}

/** The facts after a sync that the kernel answered, whatever it answered. */
export function healthAfterSync(facts: HealthFacts, report: SyncReport): HealthFacts {
  const endedAtMs = report.startedAtMs + report.durationMs;
  return {
    ...facts,
    synced: facts.synced || report.pending === 0,
    lastSyncMs: endedAtMs,
    lastSuccessMs: succeeded(report) ? endedAtMs : facts.lastSuccessMs,
    oldestPendingMs: report.state.oldestPendingMs,
    refused: {
      count: report.state.refusedKeys,
      first: report.failures.standing.slice(0, SHOWN_FAILURES).map(describeFailure),
    },
    failingSinceMs: 0,
  };
}

/** The facts after work was asked for: it is pending until a sync reports otherwise. */
export function healthAfterRequest(facts: HealthFacts, nowMs: number): HealthFacts {
  return facts.oldestPendingMs === 0 ? { ...facts, oldestPendingMs: nowMs } : facts;
}

/** The facts after the kernel could not be asked or did not answer. */
export function healthAfterFailure(facts: HealthFacts, nowMs: number): HealthFacts {
  return facts.failingSinceMs === 0 ? { ...facts, failingSinceMs: nowMs } : facts;
}

/** The facts after a look that the kernel answered. */
export function healthAfterLook(facts: HealthFacts): HealthFacts {
  return facts.failingSinceMs === 0 ? facts : { ...facts, failingSinceMs: 0 };
}

/** What the node could not be made. */
export interface Lacking {
  readonly ruleFailures: readonly { readonly message: string }[];
  readonly wrongSysctls: readonly { readonly text: string; readonly required: boolean }[];
}

/** The facts after the node was made ready, but for this. */
export function healthAfterPrepare(facts: HealthFacts, { ruleFailures, wrongSysctls }: Lacking): HealthFacts {
  return {
    ...facts,
    unruled: ruleFailures.slice(0, SHOWN_FAILURES).map(({ message }) => message),
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
 * - livez: 503 when a restart may help. The kernel has not answered, or work has waited without any sync, for two sync
 *   periods. A refused key alone does not count: a restart would ask the same again.
 * - healthz: livez, and the node is known and stays. Load balancers ask this, and one Service that the kernel refuses
 *   must not take every node from all Services.
 * - readyz: livez, the first lists have come, the first sync is complete, the iptables rules are written, the sysctls that
 *   Services need are right, and nothing, refused keys included, has waited for two sync periods. So a rollout stops at the
 *   first node on which something cannot be programmed.
 *
 * `utcOffsetMinutes` is of the time zone in which times are shown. Nothing but what is shown depends on the wall clock.
 */
export function answerProbe(probe: Probe, facts: HealthFacts, clock: Readings, utcOffsetMinutes: number): HealthAnswer {
  const nowMs = clock.now();
  const limitMs = 2 * facts.syncPeriodMs;
  const isOld = (sinceMs: number) => sinceMs !== 0 && nowMs - sinceMs >= limitMs;
  const unattemptedMs = facts.oldestPendingMs === 0 ? 0 : Math.max(facts.oldestPendingMs, facts.lastSyncMs);
  const isAlive = !isOld(facts.failingSinceMs) && !isOld(unattemptedMs);
  switch (probe) {
    case "livez":
      return answer(isAlive, { healthy: isAlive });
    case "healthz": {
      const nodeEligible = facts.node !== undefined && !facts.node.leaving;
      return answer(isAlive && nodeEligible, { nodeEligible, healthy: isAlive });
    }
    case "readyz": {
      const reason = isAlive ? unreadiness(facts, isOld(facts.oldestPendingMs)) : "the kernel is not being programmed";
      return answer(reason === "", { healthy: reason === "", ...(reason !== "" && { reason }) });
    }
  }

  function answer(isGood: boolean, verdict: Verdict): HealthAnswer {
    const updatedMs = Math.max(facts.startedAtMs, facts.lastSuccessMs);
    const lastUpdated = goTime(dateOf(updatedMs, clock), utcOffsetMinutes);
    const currentTime = goTime(clock.date(), utcOffsetMinutes);
    const engine = { lastUpdated, healthy: verdict.healthy };
    const body = {
      lastUpdated: isGood ? currentTime : lastUpdated,
      currentTime,
      ...verdict,
      // One engine serves both families; the reference has one for each and shows them apart.
      ...(facts.families.length > 0 && { status: Object.fromEntries(facts.families.map((name) => [name, engine])) }),
    };
    return { status: isGood ? 200 : 503, body: JSON.stringify(body) };
  }
}

interface Verdict {
  readonly nodeEligible?: boolean;
  readonly healthy: boolean;
  /** Why not ready, for people. */
  readonly reason?: string;
}

/** What a living agent is not ready for; "" when it is. */
function unreadiness({ missing, synced, unruled, wrongSysctls, refused }: HealthFacts, isLate: boolean): string {
  if (missing !== "") return `first lists are missing: ${missing}`;
  if (!synced) return "the first sync is not complete";
  if (wrongSysctls.length > 0) return wrongSysctls.join("; ");
  if (unruled.length > 0) return unruled.join("; ");
  if (!isLate) return "";
  return refused.count === 0 ? "syncs do not keep up with changes" : refusal(refused);
}

/** "the kernel refuses 5 objects: Cannot bind …; Cannot add …; Cannot add …; and 2 more" */
function refusal({ count, first }: HealthFacts["refused"]): string {
  const rest = first.length === 0 ? "see the log" : `and ${count - first.length} more`;
  const shown = count > first.length ? [...first, rest] : first;
  return `the kernel refuses ${count} ${count === 1 ? "object" : "objects"}: ${shown.join("; ")}`;
}

/** Text of a time as Go's encoding/json writes it: RFC 3339, zeros at the end of the fraction cut. */
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
