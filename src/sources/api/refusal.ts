import type { Ending } from "./recovery.ts";
import { type ApiStatus, statusOfAnswer } from "./transport/api-status.ts";
import { bodyText } from "./transport/body-text.ts";
import { clipped } from "./transport/clipped.ts";
import { reasonOf } from "./transport/reason.ts";
import { type ApiResponse, CredentialsError, TransportError } from "./transport/transport.ts";

const MAX_STATUS_BYTES = 65_536;

/** Reads a refusal; a body that does not come is no reason to know less than its code. */
export async function readStatus(response: ApiResponse, signal: AbortSignal): Promise<ApiStatus> {
  return statusOfAnswer(response.status, response.retryAfterMs, await bodyText(response, MAX_STATUS_BYTES, signal));
}

/** What a body is when it is not the JSON that was requested; "" when it is. */
export function foreignForm({ contentType, contentEncoding }: ApiResponse): string {
  if (contentEncoding !== "" && contentEncoding !== "identity") return `compressed (${contentEncoding})`;
  return contentType === "" || contentType.startsWith("application/json") ? "" : contentType;
}

/** The ending of a request or body that failed. */
export function lost(error: unknown): Ending {
  if (error instanceof TransportError && error.kind === "moved") return { kind: "moved" };
  const reason = clipped(reasonOf(error));
  return { kind: error instanceof CredentialsError ? "no-credentials" : "lost", reason };
}
