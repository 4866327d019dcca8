import { type ApiStatus, statusOfAnswer } from "./api-status.ts";
import { bodyText } from "./body-text.ts";
import type { ApiResponse } from "./transport.ts";

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
