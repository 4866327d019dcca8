import type { Ending } from "./recovery.ts";
import { type ApiStatus, statusOfAnswer } from "./transport/api-status.ts";
import { bodyText } from "./transport/body-text.ts";
import { clipped } from "./transport/clipped.ts";
import { reasonOf } from "./transport/reason.ts";
import { type ApiResponse, CredentialsError, TransportError } from "./transport/transport.ts";

const MAX_STATUS_BYTES = 65_536;

/** Reads the status of a response with an error. If the body does not arrive, the status has the HTTP code only. */
export async function readStatus(response: ApiResponse, signal: AbortSignal): Promise<ApiStatus> {
  return statusOfAnswer(response.status, response.retryAfterMs, await bodyText(response, MAX_STATUS_BYTES, signal));
}

/** The form of a body that is not JSON, for example "text/html"; "" for JSON. */
export function foreignForm({ contentType, contentEncoding }: ApiResponse): string {
  if (contentEncoding !== "" && contentEncoding !== "identity") return `compressed (${contentEncoding})`;
  return contentType === "" || contentType.startsWith("application/json") ? "" : contentType;
}

/** The ending of a request or body that failed. */
export function lost(error: unknown): Ending {
  if (error instanceof TransportError && error.kind === "moved") return { kind: "moved" };
  const reason = clipped(reasonOf(error));
  if (error instanceof CredentialsError) return { kind: "no-credentials", reason };
  return { kind: "lost", reason, at: error instanceof TransportError ? error.at : "" };
}
