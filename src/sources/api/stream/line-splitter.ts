import { objectText } from "./object-text.ts";

const NEWLINE = 0x0a;
/** Space, tab and carriage return. */
const BLANKS: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d]);

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
