import { pump } from "../transport/pump.ts";
import type { Body } from "../transport/transport.ts";
import { LineSplitter } from "./line-splitter.ts";
import { MAX_OBJECT_BYTES } from "./list-stream.ts";
import { parseWatchEvent, type WatchEvent } from "./watch-event.ts";

/** How reading the body of a watch ended. */
export type WatchEnd<Result> =
  | { readonly kind: "ended" }
  | { readonly kind: "stopped"; readonly result: Result }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "cut"; readonly error: unknown };

export interface WatchListener<Result> {
  /** What is wanted for an end of the stream; undefined to go on. */
  onEvent(event: WatchEvent): Result | undefined;
  /** So many bytes came, whose events are told next. */
  onProgress(bytes: number): void;
}

/** Reads the events of a watch as they arrive, until it ends, `onEvent` gives a result or the signal is aborted. */
export async function readWatch<Result>(
  body: Body,
  signal: AbortSignal,
  { onEvent, onProgress }: WatchListener<Result>,
): Promise<WatchEnd<Result>> {
  const lines = new LineSplitter();
  const pumped = await pump(body, signal, (chunk): WatchEnd<Result> | undefined => {
    onProgress(chunk.length);
    for (const line of lines.push(chunk)) {
      if (signal.aborted) return { kind: "cut", error: signal.reason };
      const result = onEvent(parseWatchEvent(line));
      if (result !== undefined) return { kind: "stopped", result };
    }
    if (lines.pendingBytes > MAX_OBJECT_BYTES) return { kind: "malformed", reason: "a line without end" };
    return undefined;
  });
  if (pumped.kind === "stopped") return pumped.result;
  if (pumped.kind === "failed") return { kind: "cut", error: pumped.error };
  if (lines.pendingBytes > 0) return { kind: "cut", error: new Error("the stream ends within a line") };
  return { kind: "ended" };
}
