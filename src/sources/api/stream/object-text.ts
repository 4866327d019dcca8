const KEY = Buffer.from('"managedFields":[');
const QUOTE = 0x22;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;

/**
 * The JSON text of an object that came as these bytes, with its first list of managedFields emptied. They are a third of a
 * Service, nobody here reads them, and their keys hold uids: of each V8 would keep a text and a shape until the next
 * collection of the old generation. Bytes that are no JSON give text that is none, but within that list.
 *
 * Uses the bytes up: what follows the list is moved to its place, which spares a second text of each object.
 */
export function objectText(parts: readonly Uint8Array[]): string {
  const [first] = parts;
  if (first === undefined) return "";
  const bytes = parts.length > 1 ? Buffer.concat(parts) : bufferOf(first);
  const begin = bytes.indexOf(KEY) + KEY.length;
  // Within a string its quotes would be escaped: what follows a backslash is no key.
  const isKey = begin >= KEY.length && bytes[begin - KEY.length - 1] !== BACKSLASH;
  const end = isKey ? endOfList(bytes, begin) : begin;
  if (end === begin) return bytes.toString("utf8");
  bytes.copyWithin(begin, end);
  return bytes.toString("utf8", 0, bytes.length - (end - begin));
}

/** The same bytes: what arrives are Buffers already. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Where the list that has begun before `begin` is closed; `begin` when it is not. */
function endOfList(bytes: Uint8Array, begin: number): number {
  let depth = 1;
  for (let index = begin; index < bytes.length; index++) {
    const byte = bytes[index];
    if (byte === QUOTE) index = endOfString(bytes, index);
    else if (byte === OPEN_LIST) depth++;
    else if (byte === CLOSE_LIST && --depth === 0) return index;
  }
  return begin;
}

/** Where the string that begins at `begin` is closed; the end of all when it is not. */
function endOfString(bytes: Uint8Array, begin: number): number {
  for (let index = begin + 1; index < bytes.length; index++) {
    if (bytes[index] === BACKSLASH) index++;
    else if (bytes[index] === QUOTE) return index;
  }
  return bytes.length;
}
