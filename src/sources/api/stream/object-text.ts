const KEY = Buffer.from('"managedFields":[');
const QUOTE = 0x22;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;

/**
 * The JSON text of an object from its bytes, without the items of its first list of managedFields. The list is a third of
 * a Service and is not used here. Its keys contain uids, and V8 would keep a string and a hidden class for each until the
 * next garbage collection of the old generation. Invalid JSON stays invalid, except within that list.
 *
 * The function overwrites the bytes: it moves the bytes after the list to its place, which saves a copy of each object.
 */
export function objectText(parts: readonly Uint8Array[]): string {
  const [first] = parts;
  if (first === undefined) return "";
  const bytes = parts.length > 1 ? Buffer.concat(parts) : bufferOf(first);
  const begin = bytes.indexOf(KEY) + KEY.length;
  // After a backslash the quote is escaped and belongs to a string, so it does not begin a key.
  const isKey = begin >= KEY.length && bytes[begin - KEY.length - 1] !== BACKSLASH;
  const end = isKey ? endOfList(bytes, begin) : begin;
  if (end === begin) return bytes.toString("utf8");
  bytes.copyWithin(begin, end);
  return bytes.toString("utf8", 0, bytes.length - (end - begin));
}

/** The same bytes as a Buffer. Chunks from sockets are Buffers already. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The index of the bracket that closes the list whose items begin at `begin`; `begin` if there is none. */
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

/** The index of the quote that closes the string at `begin`; the length of the bytes if there is none. */
function endOfString(bytes: Uint8Array, begin: number): number {
  for (let index = begin + 1; index < bytes.length; index++) {
    if (bytes[index] === BACKSLASH) index++;
    else if (bytes[index] === QUOTE) return index;
  }
  return bytes.length;
}
