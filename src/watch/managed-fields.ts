const KEY = '"managedFields":[';
const QUOTE = 0x22;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;

/**
 * The JSON text of an object with its first list of managedFields emptied, before it is parsed. They are a third of a Service,
 * nobody here reads them, and their keys hold uids: each would have V8 keep a text and a shape of its own until the next
 * collection of the old generation. Text that is no JSON stays none, but within that list.
 */
export function withoutManagedFields(text: string): string {
  const begin = text.indexOf(KEY) + KEY.length;
  // Within a string its quotes would be escaped: what follows a backslash is no key.
  if (begin < KEY.length || text.charCodeAt(begin - KEY.length - 1) === BACKSLASH) return text;
  const end = endOfList(text, begin);
  return end === -1 ? text : text.slice(0, begin) + text.slice(end);
}

/** Where the list that has begun before `index` is closed; -1 when it is not. */
function endOfList(text: string, begin: number): number {
  let depth = 1;
  for (let index = begin; index < text.length; index++) {
    const character = text.charCodeAt(index);
    if (character === QUOTE) index = endOfString(text, index);
    else if (character === OPEN_LIST) depth++;
    else if (character === CLOSE_LIST && --depth === 0) return index;
  }
  return -1;
}

/** Where the string that begins at `index` is closed; the end of the text when it is not. */
function endOfString(text: string, begin: number): number {
  for (let index = begin + 1; index < text.length; index++) {
    const character = text.charCodeAt(index);
    if (character === BACKSLASH) index++;
    else if (character === QUOTE) return index;
  }
  return text.length;
}
