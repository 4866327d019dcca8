import { readBody } from "../transport/read-body.ts";
import type { Body } from "../transport/transport.ts";
import { MAX_OBJECT_BYTES } from "./list-stream.ts";
import { objectText } from "./object-text.ts";
import { parseWatchEvent, type WatchEvent } from "./watch-event.ts";

const NEWLINE = 0x0a;
/** Space, tab and carriage return. */
const BLANKS: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d]);

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

/**
 * Splits a stream of bytes into lines with one object each. Only \n ends a line: JSON may contain a raw U+2028. It splits
 * bytes, not text, because a character may be split over chunks. Blanks before an object and lines of blanks are dropped:
 * some proxies send them to keep a connection alive.
 */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  #pendingBytes = 0;

  /** The number of bytes of the line that has not ended. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Returns the objects of the lines that end in this chunk. The caller must not use the chunk again. */
  *push(chunk: Uint8Array): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end));
      start = end + 1;
      if (this.#pendingBytes > 0) yield this.#take();
    }
    this.#hold(chunk.subarray(start));
  }

  #hold(bytes: Uint8Array): void {
    let start = 0;
    if (this.#pendingBytes === 0) while (BLANKS.has(bytes[start])) start++;
    const part = bytes.subarray(start);
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#pendingBytes += part.length;
  }

  #take(): string {
    const text = objectText(this.#parts);
    this.#parts = [];
    this.#pendingBytes = 0;
    return text;
  }
}
