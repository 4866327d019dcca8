import type { Clock } from "../../model/time/clock.ts";
import { LimitedWait } from "../../model/time/limited-wait.ts";
import { statusOfAnswer } from "./transport/api-status.ts";
import { bodyText } from "./transport/body-text.ts";
import type { WritingTransport } from "./transport/transport.ts";

const ANSWER_MS = 10_000;
/** A user may have thousands of groups. */
const MAX_BYTES = 1024 * 1024;

/**
 * Creates an object and returns the object of the response. Rejects without a response within 10 s, and with the message of
 * the server if it refuses.
 */
export async function createObject(
  transport: WritingTransport,
  path: string,
  object: object,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<unknown> {
  const attempt = new LimitedWait(signal, new Error("no response in time"));
  void attempt.atMost(ANSWER_MS, clock);
  try {
    const request = { method: "POST" as const, path, contentType: "application/json", body: JSON.stringify(object) };
    const response = await transport.send(request, attempt.signal);
    const text = await bodyText(response, MAX_BYTES, attempt.signal);
    if (response.status !== 200 && response.status !== 201) {
      const { code, message } = statusOfAnswer(response.status, 0, text);
      throw new Error(`${path}: ${code} ${message}`);
    }
    return JSON.parse(text);
  } finally {
    attempt.end();
  }
}
