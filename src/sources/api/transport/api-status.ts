import { field } from "../../decode/object-reader.ts";
import { clipped } from "./clipped.ts";

/**
 * The longest accepted Retry-After. A loaded server requests seconds. A longer time than a minute is an error of a server
 * or proxy, and this node would get no changes for that time.
 */
export const MAX_RETRY_AFTER_MS = 60_000;

/** The error of an API server, from an HTTP response or an ERROR event. */
export interface ApiStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** The wait that the server requests, at most a minute; 0 if it requests none. */
  readonly retryAfterMs: number;
  /** Whether the server no longer has the history of the requested version. Some servers and proxies lose the code. */
  readonly expired: boolean;
  /** Whether the server has not reached the requested version: it lags, or was restored from an older state. */
  readonly tooNew: boolean;
}

/** The status of an HTTP response. The body need not be a Status: 429 has plain text, and proxies send HTML. */
export function statusOfAnswer(code: number, retryAfterMs: number, body: string): ApiStatus {
  const status = statusOf(parsed(body));
  return {
    ...status,
    code,
    expired: status.expired || code === 410,
    message: status.message === "" ? clipped(body) : status.message,
    retryAfterMs: Math.max(retryAfterMs, status.retryAfterMs),
  };
}

/** The status in the object of an ERROR event. */
export function statusOf(object: unknown): ApiStatus {
  const details = field(object, "details");
  const causes = field(details, "causes");
  const code = numberField(object, "code");
  const reason = textField(object, "reason");
  const message = textField(object, "message");
  const retryAfterMs = numberField(details, "retryAfterSeconds") * 1000;
  return {
    code,
    reason,
    message,
    retryAfterMs: Math.min(Math.max(retryAfterMs, 0), MAX_RETRY_AFTER_MS),
    expired: code === 410 || reason === "Expired" || reason === "Gone",
    tooNew:
      (Array.isArray(causes) && causes.some((cause) => field(cause, "reason") === "ResourceVersionTooLarge")) ||
      message.includes("Too large resource version"),
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function textField(object: unknown, key: string): string {
  const value = field(object, key);
  return typeof value === "string" ? value : "";
}

function numberField(object: unknown, key: string): number {
  const value = field(object, key);
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
