import { field } from "../services/object-reader.ts";

/** What the API server says when it does not do what was asked: an HTTP answer or an ERROR event. */
export interface ApiStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** The server asks to be left alone so long; 0 when it does not say. */
  readonly retryAfterMs: number;
  /** The resourceVersion asked for is above the server's: it lags, or was restored from an older state. */
  readonly tooNew: boolean;
}

/** The status of an HTTP answer. The body need not be a Status: 429 comes as plain text, and proxies answer HTML. */
export function statusOfAnswer(code: number, retryAfterMs: number, body: string): ApiStatus {
  const status = statusOf(parsed(body));
  return {
    ...status,
    code,
    message: status.message === "" ? body.slice(0, 200) : status.message,
    retryAfterMs: Math.max(retryAfterMs, status.retryAfterMs),
  };
}

/** The status in the object of an ERROR event. */
export function statusOf(object: unknown): ApiStatus {
  const details = field(object, "details");
  const causes = field(details, "causes");
  const message = textField(object, "message");
  return {
    code: numberField(object, "code"),
    reason: textField(object, "reason"),
    message,
    retryAfterMs: numberField(details, "retryAfterSeconds") * 1000,
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
