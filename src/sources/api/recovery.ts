import type { ApiStatus } from "./transport/api-status.ts";

/**
 * Where a streamed list comes from. Once something was told, both are "not older than that": a server that lags has to refuse.
 * Before, `latest` is a consistent read, and `last` whatever the server has in its cache, which it answers even without its etcd.
 */
export type ListSource = "latest" | "last";

/**
 * What a reflector does next.
 * - `watch`: read what happened since the last version.
 * - `watch-list`: read the whole state as a stream, then go on as a watch.
 * - `list`: the same as one body or several pages, for servers and proxies without watch-list; from `last`.
 * - `probe`: find out whether the server has come as far as our version, and whether it answers at all.
 */
export type Plan =
  | { readonly kind: "watch" }
  | { readonly kind: "watch-list"; readonly from: ListSource }
  | { readonly kind: "list" }
  | { readonly kind: "probe" };

/** How a reflector begins, and begins anew. */
export const FIRST_PLAN: Plan = { kind: "watch-list", from: "latest" };

/** How carrying out a plan ended. */
export type Ending =
  /** A stream ended cleanly: at its timeout, at a shutdown, or because we read too slowly. */
  | { readonly kind: "ended" }
  /** A watch lived its whole time and told nothing at all, not even a bookmark. */
  | { readonly kind: "silent" }
  | { readonly kind: "listed" }
  /** The probe found the server as far as we are. */
  | { readonly kind: "current" }
  /** A list or bookmark shows that the server has not come as far as our version. Others refuse as `tooNew`. */
  | { readonly kind: "behind"; readonly version: string }
  /** An answer, or an ERROR event (`inStream`). */
  | { readonly kind: "refused"; readonly status: ApiStatus; readonly inStream: boolean }
  /** No answer at all in time. */
  | { readonly kind: "no-answer" }
  /** Nothing came for too long before the end of a list. */
  | { readonly kind: "stalled" }
  /** A watch went on beyond its timeout. */
  | { readonly kind: "overdue" }
  /** No connection, a reset, a body cut short. */
  | { readonly kind: "lost"; readonly reason: string }
  /** A file cannot be read, or an exec plugin fails. */
  | { readonly kind: "no-credentials"; readonly reason: string }
  /** We closed the connection ourselves, to open one with new credentials. */
  | { readonly kind: "moved" }
  | { readonly kind: "malformed"; readonly reason: string };

/**
 * How long to wait: not at all; a `jitter` of at most 100 ms; `spread` over 0.8-1.6 s, since after a restart of the API
 * server every node meets the same at once; or the reflector's backoff.
 */
export type Wait = "none" | "jitter" | "spread" | "backoff";

export interface Step {
  readonly plan: Plan;
  readonly wait: Wait;
  /** The server asked for at least so much. */
  readonly atLeastMs: number;
}

/** What came before an ending, with the ending itself. */
export interface History {
  /** The stream told something, or lived for a second. */
  readonly healthy: boolean;
  /** The stream before this one was malformed too, at the same version. */
  readonly malformedBefore: boolean;
  /** A watch was healthy since the last list. */
  readonly watched: boolean;
  /** Streams in a row that came to nothing: watches that were not healthy, lists that did not end. */
  readonly failedStreams: number;
}

/** So many streams in a row come to nothing before another way is tried. */
const FAILED_STREAMS = 3;

export function nextStep(plan: Plan, ending: Ending, history: History): Step {
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

/** Whether the server has not come as far as our version: it lags, or was restored from an older state. */
export function isBehind(ending: Ending): boolean {
  return ending.kind === "behind" || (ending.kind === "refused" && ending.status.tooNew);
}

function afterEnd(plan: Plan, history: History): Step {
  // Without its end the list tells nothing of what is gone. A proxy that eats bookmarks would do this every time.
  if (plan.kind === "watch-list") return step({ kind: "list" }, history.healthy ? "none" : "backoff");
  return history.healthy ? step(plan, "jitter") : afterFailure(plan, history);
}

function afterRefusal(plan: Plan, status: ApiStatus, inStream: boolean, history: History): Step {
  if (status.tooNew) return afterBehind(plan, status.retryAfterMs);
  if (status.expired) return afterExpiry(plan, history);
  if (plan.kind === "watch-list" && saysNoWatchList(status.code, inStream)) return step({ kind: "list" }, "none");
  return afterFailure(plan, history, status.retryAfterMs);
}

/**
 * What failed is done again. A watch that fails time and again may be what this server cannot do at this version, so the state
 * is listed; but only when a probe has shown that lists are answered and the watch fails after that, too: servers that are
 * in trouble altogether are not met by lists of the whole fleet. A streamed list becomes an ordinary one.
 */
function afterFailure(plan: Plan, { failedStreams }: History, atLeastMs = 0): Step {
  const next = (): Plan => {
    if (failedStreams < FAILED_STREAMS) return resumable(plan);
    if (plan.kind === "watch-list") return { kind: "list" };
    if (plan.kind !== "watch") return resumable(plan);
    return failedStreams === FAILED_STREAMS ? { kind: "probe" } : { kind: "watch-list", from: "last" };
  };
  return step(next(), "backoff", atLeastMs);
}

/** A watch from a version of the future is silent and may never end, so the server is probed until it has come as far. */
function afterBehind(plan: Plan, atLeastMs = 0): Step {
  return step(plan.kind === "watch" ? { kind: "probe" } : plan, "backoff", atLeastMs);
}

/** 422: switched off. 400: never heard of. 500 in the stream: its etcd cannot do it (before 3.4.31 and 3.5.13). */
function saysNoWatchList(code: number, inStream: boolean): boolean {
  return code === 422 || code === 400 || (code === 500 && inStream);
}

/**
 * The history of our version is gone; the state itself can still be had "not older than" it. Where this comes after every
 * list, lists come at growing intervals.
 */
function afterExpiry(plan: Plan, history: History): Step {
  if (plan.kind === "watch-list" || plan.kind === "list") return afterFailure(plan, history);
  return step({ kind: "watch-list", from: "last" }, history.watched ? "spread" : "backoff");
}

function afterNoAnswer(plan: Plan, history: History): Step {
  if (plan.kind === "watch-list" && plan.from === "latest") return step({ kind: "watch-list", from: "last" }, "none");
  return afterFailure(plan, history);
}

function afterMalformed(plan: Plan, history: History): Step {
  if (plan.kind !== "watch") return afterFailure(plan, history);
  return history.malformedBefore ? step({ kind: "watch-list", from: "last" }, "backoff") : step(plan, "jitter");
}

/** A probe that got no answer is not worth making again: the watch is. */
function resumable(plan: Plan): Plan {
  return plan.kind === "probe" ? { kind: "watch" } : plan;
}

function step(plan: Plan, wait: Wait, atLeastMs = 0): Step {
  return { plan, wait, atLeastMs };
}

/** One word for the metrics: "410" for a refusal, "error" for one without a code of HTTP, else the kind of ending. */
export function endingReason(ending: Ending): string {
  if (ending.kind !== "refused") return ending.kind;
  const { code } = ending.status;
  // Any number may stand in an ERROR event; the values of a label must be few.
  return Number.isInteger(code) && code >= 100 && code < 600 ? String(code) : "error";
}

/** The same for whoever may connect to the health port: nothing that a server, a plugin or a file said. */
export function endingCause(ending: Ending): string {
  if (endingText(ending) === "") return "";
  return ending.kind === "lost" ? "unreachable" : endingReason(ending);
}

/** The cause for a log or a terminal, with all that is known of it; "" for an end that is no trouble. */
export function endingText(ending: Ending): string {
  switch (ending.kind) {
    case "ended":
    case "silent":
    case "listed":
    case "current":
    case "moved":
      return "";
    case "behind":
      return `the server is behind: its state is of version ${ending.version}`;
    case "refused":
      return refusalText(ending.status);
    case "no-answer":
      return "no answer in time";
    case "stalled":
      return "the list stopped coming";
    case "overdue":
      return "a watch went on beyond its time";
    case "lost":
    case "no-credentials":
      return ending.reason;
    case "malformed":
      return `malformed: ${ending.reason}`;
  }
}

function refusalText({ code, reason, message }: ApiStatus): string {
  const name = code === 0 ? reason : String(code);
  return `${name} ${message}`.trim() || "an error without code, reason and message";
}
