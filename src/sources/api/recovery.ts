import type { Backoff, BackoffOptions } from "../../model/time/backoff.ts";
import type { ApiStatus } from "./transport/api-status.ts";

/**
 * The consistency of a streamed list. If a version is known, both mean "not older than that version", and a server that
 * lags refuses. If no version is known, `latest` is a consistent read, and `last` is the state in the cache of the server,
 * which the server can return without its etcd.
 */
export type ListSource = "latest" | "last";

/**
 * The next action of a reflector.
 * - `watch`: read the changes since the last version.
 * - `watch-list`: read all objects as a stream, then continue as a watch.
 * - `list`: read all objects as one body or several pages, for servers and proxies without watch-list. As with `last`.
 * - `probe`: check whether the server responds, and whether it has reached the version of the reflector.
 */
export type WatchPlan =
  | { readonly kind: "watch" }
  | { readonly kind: "watch-list"; readonly from: ListSource }
  | { readonly kind: "list" }
  | { readonly kind: "probe" };

/** The first plan of a reflector, and the first plan after a restore of the server. */
export const FIRST_PLAN: WatchPlan = { kind: "watch-list", from: "latest" };

/** The result of a plan. */
export type Ending =
  /** A stream ended normally: at its timeout, at a shutdown of the server, or because the client read too slowly. */
  | { readonly kind: "ended" }
  /** A watch lasted until its timeout without any event or bookmark. */
  | { readonly kind: "silent" }
  | { readonly kind: "listed" }
  /** The probe showed that the server has reached the version of the reflector. */
  | { readonly kind: "current" }
  /** A list or bookmark shows that the server has not reached the version of the reflector. Compare `tooNew`. */
  | { readonly kind: "behind"; readonly version: string }
  /** The server responded with an error, as an HTTP response or as an ERROR event (`inStream`). */
  | { readonly kind: "refused"; readonly status: ApiStatus; readonly inStream: boolean }
  /** There was no response in time. */
  | { readonly kind: "no-answer" }
  /** Nothing arrived for too long before the end of a list. */
  | { readonly kind: "stalled" }
  /** A watch continued after its timeout. */
  | { readonly kind: "overdue" }
  /**
   * There was no connection, or the connection was reset, or the body is incomplete. `at` is the address of the server and
   * the error of the system call, without other text; "" if unknown.
   */
  | { readonly kind: "lost"; readonly reason: string; readonly at: string }
  /** A file with credentials cannot be read, or an exec plugin failed. */
  | { readonly kind: "no-credentials"; readonly reason: string }
  /** The transport closed the connection to open one with new credentials or to another server. */
  | { readonly kind: "moved" }
  | { readonly kind: "malformed"; readonly reason: string };

/**
 * The time before the next attempt: none; `jitter`, at most 100 ms; `spread`, from 0.8 to 1.6 s, because after a restart
 * of the API server all nodes do the same at once; or the next wait of a backoff.
 */
export type Wait = "none" | "jitter" | "spread" | "backoff";

/** The values of client-go's reflector (tools/cache/reflector.go). They spread the reconnects of all nodes over time. */
export const RECONNECT: BackoffOptions = { initialMs: 800, maxMs: 30_000, resetAfterMs: 120_000 };

export interface Step {
  readonly plan: WatchPlan;
  readonly wait: Wait;
  /** The shortest wait that the server requested. */
  readonly atLeastMs: number;
}

/** The facts about an attempt that ended and the attempts before it. */
export interface History {
  /** Whether the stream delivered an event or bookmark, or lasted for a second. */
  readonly healthy: boolean;
  /** Whether the stream before this one was malformed at the same version. */
  readonly malformedBefore: boolean;
  /** Whether a watch was healthy since the last list. */
  readonly watched: boolean;
  /** The number of failed streams in a row: watches that were not healthy, and lists that did not end. */
  readonly failedStreams: number;
}

/** The number of failed streams in a row after which the reflector changes its kind of request. */
const FAILED_STREAMS = 3;

/** Returns the next step after a plan with this ending. */
export function nextStep(plan: WatchPlan, ending: Ending, history: History): Step {
  switch (ending.kind) {
    case "listed":
    case "current":
      return step({ kind: "watch" }, "none");
    case "ended":
      return afterEnd(plan, history);
    case "silent":
      return step({ kind: "probe" }, "none");
    case "behind":
      return afterBehind(plan);
    case "refused":
      return afterRefusal(plan, ending.status, ending.inStream, history);
    case "no-answer":
      return afterNoAnswer(plan, history);
    case "stalled":
      return plan.kind === "watch-list" ? step({ kind: "list" }, "none") : step(plan, "backoff");
    case "overdue":
    case "lost":
      return afterFailure(plan, history);
    case "no-credentials":
      return step(resumable(plan), "backoff");
    case "moved":
      return step(resumable(plan), "jitter");
    case "malformed":
      return afterMalformed(plan, history);
  }
}

/** Whether the server has not reached the version of the reflector: it lags, or was restored from an older state. */
export function isBehind(ending: Ending): boolean {
  return ending.kind === "behind" || (ending.kind === "refused" && ending.status.tooNew);
}

function afterEnd(plan: WatchPlan, history: History): Step {
  // Deletions are only known at the end of a list. Behind a proxy that drops bookmarks a streamed list never ends.
  if (plan.kind === "watch-list") return step({ kind: "list" }, history.healthy ? "none" : "backoff");
  return history.healthy ? step(plan, "jitter") : afterFailure(plan, history);
}

function afterRefusal(plan: WatchPlan, status: ApiStatus, inStream: boolean, history: History): Step {
  if (status.tooNew) return afterBehind(plan, status.retryAfterMs);
  if (status.expired) return afterExpiry(plan, history);
  if (plan.kind === "watch-list" && lacksWatchList(status.code, inStream)) return step({ kind: "list" }, "none");
  return afterFailure(plan, history, status.retryAfterMs);
}

/**
 * Retries the plan. After several failures the server may be unable to serve this kind of request: a streamed list becomes
 * a list in pages, and a watch becomes a list. Before that, a probe must succeed and the watch must fail once more, so
 * that a server that fails every request does not get lists from all nodes.
 */
function afterFailure(plan: WatchPlan, { failedStreams }: History, atLeastMs = 0): Step {
  const next = (): WatchPlan => {
    if (failedStreams < FAILED_STREAMS) return resumable(plan);
    if (plan.kind === "watch-list") return { kind: "list" };
    if (plan.kind !== "watch") return resumable(plan);
    return failedStreams === FAILED_STREAMS ? { kind: "probe" } : { kind: "watch-list", from: "last" };
  };
  return step(next(), "backoff", atLeastMs);
}

/** Probes until the server reaches the version: a watch from a later version is silent and may never end. */
function afterBehind(plan: WatchPlan, atLeastMs = 0): Step {
  return step(plan.kind === "watch" ? { kind: "probe" } : plan, "backoff", atLeastMs);
}

/**
 * Whether the server does not support watch-list. 422: it is disabled. 400: the server does not know it. 500 in the
 * stream: its etcd does not support it (before 3.4.31 and 3.5.13).
 */
function lacksWatchList(code: number, inStream: boolean): boolean {
  return code === 422 || code === 400 || (code === 500 && inStream);
}

/**
 * Lists again, because the server no longer has the history of the version; the list must not be older than the version.
 * If this happens after every list, the lists have growing intervals.
 */
function afterExpiry(plan: WatchPlan, history: History): Step {
  if (plan.kind === "watch-list" || plan.kind === "list") return afterFailure(plan, history);
  return step({ kind: "watch-list", from: "last" }, history.watched ? "spread" : "backoff");
}

function afterNoAnswer(plan: WatchPlan, history: History): Step {
  if (plan.kind === "watch-list" && plan.from === "latest") return step({ kind: "watch-list", from: "last" }, "none");
  return afterFailure(plan, history);
}

function afterMalformed(plan: WatchPlan, history: History): Step {
  if (plan.kind !== "watch") return afterFailure(plan, history);
  return history.malformedBefore ? step({ kind: "watch-list", from: "last" }, "backoff") : step(plan, "jitter");
}

/** The plan to retry. A failed probe is not repeated, the watch is. */
function resumable(plan: WatchPlan): WatchPlan {
  return plan.kind === "probe" ? { kind: "watch" } : plan;
}

function step(plan: WatchPlan, wait: Wait, atLeastMs = 0): Step {
  return { plan, wait, atLeastMs };
}

/** The ending as a label: "410" for a response with that status, "error" for another code, or the kind of ending. */
export function endingReason(ending: Ending): string {
  if (ending.kind !== "refused") return ending.kind;
  const { code } = ending.status;
  // The code of an ERROR event may be any number, but a label must have few values.
  return Number.isInteger(code) && code >= 100 && code < 600 ? String(code) : "error";
}

/** The cause with details, for a log or a terminal; "" for a normal end. */
export function endingText(ending: Ending): string {
  switch (ending.kind) {
    case "ended":
    case "silent":
    case "listed":
    case "current":
    case "moved":
      return "";
    case "behind":
      return `the server is behind: its state has version ${ending.version}`;
    case "refused":
      return refusalText(ending.status);
    case "no-answer":
      return "no response in time";
    case "stalled":
      return "no data in time before the end of the list";
    case "overdue":
      return "the server did not end the watch at its timeout";
    case "lost":
    case "no-credentials":
      return ending.reason;
    case "malformed":
      return `malformed: ${ending.reason}`;
  }
}

function refusalText({ code, reason, message }: ApiStatus): string {
  const name = code === 0 ? reason : String(code);
  return `${name} ${message}`.trim() || "error without code, reason and message";
}

/** Returns the wait before a step, in ms. `random` is evenly distributed in [0, 1). */
export function waitMs({ wait, atLeastMs }: Step, backoff: Backoff, random: () => number, nowMs: number): number {
  return Math.max(atLeastMs, msOf(wait, backoff, random, nowMs));
}

function msOf(wait: Wait, backoff: Backoff, random: () => number, nowMs: number): number {
  switch (wait) {
    case "none":
      return 0;
    case "jitter":
      return random() * 100;
    case "spread":
      return RECONNECT.initialMs * (1 + random());
    case "backoff":
      return backoff.next(nowMs);
  }
}
