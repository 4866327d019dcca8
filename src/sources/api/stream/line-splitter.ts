import { objectText } from "./object-text.ts";

const NEWLINE = 0x0a;
/** Space, tab and carriage return. */
const BLANKS: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d]);

/**
 * Cuts a stream of bytes into lines, of one object each, at \n alone: JSON may hold a raw U+2028, which is no end of line here. Bytes, not
 * text, are cut, so a character may be split over chunks. Blanks before an object, and lines of nothing else, are what a proxy
 * sends to keep a connection alive.
 */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  #pendingBytes = 0;

  /** Bytes of the line that has begun and not ended. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The objects of the lines that end in this chunk. It is used up, and kept until its last line ends. */
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
