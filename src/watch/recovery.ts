import type { ApiStatus } from "./api-status.ts";

/**
 * The `latest` state, anything not older than our `last` version, or whatever the server has in its `cache`: that it
 * answers even without its etcd.
 */
export type ListSource = "latest" | "last" | "cache";

/**
 * What a reflector does next.
 * - `watch`: hear what happened since the last version.
 * - `watch-list`: be told the whole state as a stream, then go on as a watch.
 * - `list`: the same as one body or several pages, for servers and proxies that know no watch-list.
 * - `probe`: ask whether the server has come as far as our version at all.
 */
export type Plan =
  | { readonly kind: "watch" }
  | { readonly kind: "watch-list"; readonly from: ListSource }
  | { readonly kind: "list"; readonly from: ListSource }
  | { readonly kind: "probe" };

/** How carrying out a plan ended. */
export type Ending =
  /** A stream ended cleanly: at its timeout, at a shutdown, or because we read too slowly. */
  | { readonly kind: "ended"; readonly livedMs: number; readonly events: number }
  /** A watch lived its whole time and told nothing at all, not even a bookmark. */
  | { readonly kind: "silent" }
  | { readonly kind: "listed" }
  /** The probe found the server as far as we are. */
  | { readonly kind: "current" }
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

/** A watch that ends sooner and empty is a server in trouble, not one that is done. */
const HEALTHY_MS = 1000;

/** `malformedBefore`: the stream before this one was malformed too, at the same version. */
export function nextStep(plan: Plan, ending: Ending, malformedBefore: boolean): Step {
  switch (ending.kind) {
    case "listed":
    case "current":
      return step({ kind: "watch" }, "none");
    case "ended":
      return afterEnd(plan, ending.livedMs >= HEALTHY_MS || ending.events > 0);
    case "silent":
      return step({ kind: "probe" }, "none");
    case "refused":
      return afterRefusal(plan, ending.status, ending.inStream);
    case "no-answer":
      return afterNoAnswer(plan);
    case "stalled":
      return plan.kind === "watch-list" ? step(listInstead(plan.from), "none") : step(plan, "backoff");
    case "overdue":
    case "lost":
    case "no-credentials":
      return step(resumable(plan), "backoff");
    case "moved":
      return step(resumable(plan), "jitter");
    case "malformed":
      return afterMalformed(plan, malformedBefore);
  }
}

function afterEnd(plan: Plan, healthy: boolean): Step {
  // Without its end the list tells nothing of what is gone. A proxy that eats bookmarks would do this every time.
  if (plan.kind === "watch-list") return step(listInstead(plan.from), healthy ? "none" : "backoff");
  return step(plan, healthy ? "jitter" : "backoff");
}

function afterRefusal(plan: Plan, status: ApiStatus, inStream: boolean): Step {
  if (status.tooNew) return step({ kind: "watch-list", from: "latest" }, "backoff", status.retryAfterMs);
  if (status.code === 410) return afterExpiry(plan);
  if (plan.kind === "watch-list" && saysNoWatchList(status.code, inStream)) {
    return step(listInstead(plan.from), "none");
  }
  return step(resumable(plan), "backoff", status.retryAfterMs);
}

/** 422: switched off. 400: never heard of. 500 in the stream: its etcd cannot do it (before 3.4.31 and 3.5.13). */
function saysNoWatchList(code: number, inStream: boolean): boolean {
  return code === 422 || code === 400 || (code === 500 && inStream);
}

/** The history of our version is gone; the state itself can still be had "not older than" it. */
function afterExpiry(plan: Plan): Step {
  switch (plan.kind) {
    case "watch":
    case "probe":
      return step({ kind: "watch-list", from: "last" }, "spread");
    case "watch-list":
      return step({ kind: "watch-list", from: "latest" }, "backoff");
    case "list":
      return step({ kind: "list", from: "latest" }, "backoff");
  }
}

function afterNoAnswer(plan: Plan): Step {
  if ((plan.kind === "watch-list" || plan.kind === "list") && plan.from === "latest") {
    return step({ kind: plan.kind, from: "cache" }, "none");
  }
  return step(resumable(plan), "backoff");
}

function afterMalformed(plan: Plan, malformedBefore: boolean): Step {
  if (plan.kind !== "watch") return step(plan, "backoff");
  return malformedBefore ? step({ kind: "watch-list", from: "last" }, "backoff") : step(plan, "jitter");
}

/** The first list may be any the server has at hand, a later one never older than what was told. */
function listInstead(from: ListSource): Plan {
  return { kind: "list", from: from === "latest" ? "cache" : from };
}

/** A probe that got no word is not worth asking again: the watch is. */
function resumable(plan: Plan): Plan {
  return plan.kind === "probe" ? { kind: "watch" } : plan;
}

function step(plan: Plan, wait: Wait, atLeastMs = 0): Step {
  return { plan, wait, atLeastMs };
}

/** One word for the metrics: "410" for a refusal, else the kind of ending. */
export function endingReason(ending: Ending): string {
  return ending.kind === "refused" ? String(ending.status.code) : ending.kind;
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
    case "refused":
      return `${ending.status.code} ${ending.status.message}`.trim();
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
