import { pump } from "./pump.ts";
import type { ApiResponse } from "./transport.ts";

/** The body as text, as far as it comes and no more than about `maxBytes`: for refusals, whose code says enough already. */
export async function bodyText({ body }: ApiResponse, maxBytes: number, signal: AbortSignal): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  await pump(body, signal, (chunk) => {
    parts.push(chunk);
    bytes += chunk.length;
    return bytes > maxBytes ? true : undefined;
  });
  return Buffer.concat(parts).toString("utf8");
}
