import { readBody } from "./read-body.ts";
import type { ApiResponse } from "./transport.ts";

/** Reads at most about `maxBytes` of a body as text. If the body fails, the text has the part that arrived. */
export async function bodyText({ body }: ApiResponse, maxBytes: number, signal: AbortSignal): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  await readBody(body, signal, (chunk) => {
    parts.push(chunk);
    bytes += chunk.length;
    return bytes > maxBytes ? true : undefined;
  });
  return Buffer.concat(parts).toString("utf8");
}
