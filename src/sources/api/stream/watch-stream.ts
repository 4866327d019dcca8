import { readBody } from "../transport/read-body.ts";
import type { Body } from "../transport/transport.ts";
import { LineSplitter } from "./line-splitter.ts";
import { MAX_OBJECT_BYTES } from "./list-stream.ts";
import { parseWatchEvent, type WatchEvent } from "./watch-event.ts";

/** The result of reading the body of a watch. */
export type WatchEnd<Result> =
  | { readonly kind: "ended" }
  | { readonly kind: "stopped"; readonly result: Result }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "cut"; readonly error: unknown };

export interface WatchListener<Result> {
  /** Handles an event. Returns a result to stop reading, or undefined to continue. */
  onEvent(event: WatchEvent): Result | undefined;
  /** Called with the number of bytes of a chunk, before its events. */
  onProgress(bytes: number): void;
}

/** Reads the events of a watch until it ends, `onEvent` returns a result, or the signal is aborted. */
export async function readWatch<Result>(
  body: Body,
  signal: AbortSignal,
  { onEvent, onProgress }: WatchListener<Result>,
): Promise<WatchEnd<Result>> {
  const lines = new LineSplitter();
  const bodyEnd = await readBody(body, signal, (chunk): WatchEnd<Result> | undefined => {
    onProgress(chunk.length);
    for (const line of lines.push(chunk)) {
      if (signal.aborted) return { kind: "cut", error: signal.reason };
      const result = onEvent(parseWatchEvent(line));
      if (result !== undefined) return { kind: "stopped", result };
    }
    if (lines.pendingBytes > MAX_OBJECT_BYTES) return { kind: "malformed", reason: "a line is too long" };
    return undefined;
  });
  if (bodyEnd.kind === "stopped") return bodyEnd.result;
  if (bodyEnd.kind === "failed") return { kind: "cut", error: bodyEnd.error };
  if (lines.pendingBytes > 0) return { kind: "cut", error: new Error("the last line is incomplete") };
  return { kind: "ended" };
}
