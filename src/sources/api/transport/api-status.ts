import { field } from "../../decode/object-reader.ts";
import { clipped } from "./clipped.ts";

/**
 * The longest wait that a server may ask for. It is told load in seconds; a number beyond a minute is an error of a server or
 * proxy, and would leave this node without news for as long.
 */
export const MAX_RETRY_AFTER_MS = 60_000;

/** What the API server says when it does not do what was asked: an HTTP answer or an ERROR event. */
export interface ApiStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** The server asks to be left alone so long, at most a minute; 0 when it does not say. */
  readonly retryAfterMs: number;
  /** The history of the resourceVersion asked for is gone. Some servers and proxies lose the code and keep the reason. */
  readonly expired: boolean;
  /** The resourceVersion asked for is above the server's: it lags, or was restored from an older state. */
  readonly tooNew: boolean;
}

/** The status of an HTTP answer. The body need not be a Status: 429 comes as plain text, and proxies answer HTML. */
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
