import { objectText } from "./object-text.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A value of a list body as JSON text. */
export interface ListPart {
  readonly kind: "metadata" | "item";
  readonly text: string;
}

/**
 * Splits the body of a LIST into its metadata and its items while it arrives, so that a list of 70 MB is never in memory
 * as a whole:
 *
 *     {"kind":"ServiceList","metadata":{...},"items":[{...},{...}]}
 *     depth 1               ^capture         depth 2 ^capture
 *
 * It only follows strings and brackets, and accepts spaces and newlines between them (the API server indents for curl).
 * Invalid JSON is found when a part is parsed, or by `complete`.
 */
export class ItemSplitter {
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The first bytes of the last string at depth 1: a key of the list, or a value. */
  #word: number[] = [];
  #field = "";
  #capture: ListPart["kind"] | undefined;
  #parts: Uint8Array[] = [];
  #pendingBytes = 0;
  #complete = false;

  /** Whether the outermost object has ended. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The number of bytes of the part that has not ended. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Returns the parts that end in this chunk. The caller must not use the chunk again. */
  *push(chunk: Uint8Array): Generator<ListPart> {
    let start = 0;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index] ?? 0;
      if (this.#inString) {
        this.#followString(byte);
        continue;
      }
      if (this.#follow(byte)) start = index;
      if (byte !== CLOSE_OBJECT && byte !== CLOSE_LIST) continue;
      const kind = this.#close();
      if (kind !== undefined) yield { kind, text: this.#take(chunk.subarray(start, index + 1)) };
    }
    if (this.#capture !== undefined) this.#hold(chunk.subarray(start));
  }

  /** Returns whether a part begins with this byte. */
  #follow(byte: number): boolean {
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) return this.#open();
    if (byte === QUOTE) {
      this.#inString = true;
      if (this.#depth === 1) this.#word = [];
    } else if (byte === COLON && this.#depth === 1) {
      this.#field = String.fromCharCode(...this.#word);
    }
    return false;
  }

  #followString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inString = false;
    else if (this.#depth === 1 && this.#word.length < 32) this.#word.push(byte);
  }

  #open(): boolean {
    this.#depth++;
    if (this.#capture !== undefined) return false;
    if (this.#depth === 2 && this.#field === "metadata") this.#capture = "metadata";
    if (this.#depth === 3 && this.#field === "items") this.#capture = "item";
    return this.#capture !== undefined;
  }

  /** Returns the kind of the part that ends with this bracket. */
  #close(): ListPart["kind"] | undefined {
    this.#depth--;
    if (this.#depth === 0) this.#complete = true;
    const ends = this.#depth === (this.#capture === "item" ? 2 : 1);
    return ends ? this.#capture : undefined;
  }

  #hold(part: Uint8Array): void {
    this.#parts.push(part);
    this.#pendingBytes += part.length;
  }

  #take(last: Uint8Array): string {
    this.#parts.push(last);
    const text = objectText(this.#parts);
    this.#capture = undefined;
    this.#parts = [];
    this.#pendingBytes = 0;
    return text;
  }
}
