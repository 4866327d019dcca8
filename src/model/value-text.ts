const LONGEST_TEXT = 200;
const DEEPEST = 6;

/**
 * Returns text that shows any value to a reader: a string unchanged, any other value like JSON, on one line and with at
 * most 200 characters.
 *
 * It never throws. The values come from outside: a value may contain itself, be a megabyte long, or be of a kind that
 * JSON.stringify and String refuse, such as `{toString: x}`, and one invalid object must not end the process.
 */
export function valueText(value: unknown): string {
  if (value === undefined) return "";
  const text = typeof value === "string" ? value : writtenOut(value);
  return printable(text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text);
}

/**
 * Control characters, format characters (some change the direction of text), line separators, and unpaired surrogates.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * Returns the text on one line. Characters on which a terminal or an editor would act are escaped as in JSON: otherwise
 * the author of an annotation could forge log lines, or change the colour and order of other text.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

function writtenOut(value: unknown): string {
  try {
    return write("", value, 0);
  } catch {
    // A getter or a Proxy can throw anything.
    return "(a value that cannot be shown)";
  }
}

/**
 * Appends the value to the text. Every value adds a character, so the length limit also stops a value that contains
 * itself.
 */
function write(text: string, value: unknown, depth: number): string {
  if (text.length > LONGEST_TEXT) return text;
  switch (typeof value) {
    case "string":
      return text + JSON.stringify(value.slice(0, LONGEST_TEXT));
    case "object":
      break;
    case "function":
      return `${text}(a function)`;
    default:
      return text + String(value);
  }
  if (value === null) return `${text}null`;
  if (depth >= DEEPEST) return `${text}…`;
  return Array.isArray(value) ? writeList(text, value, depth) : writeObject(text, value, depth);
}

function writeList(text: string, list: readonly unknown[], depth: number): string {
  let written = `${text}[`;
  for (const [index, item] of list.entries()) {
    if (written.length > LONGEST_TEXT) break;
    written = write(index === 0 ? written : `${written},`, item, depth + 1);
  }
  return `${written}]`;
}

function writeObject(text: string, object: object, depth: number): string {
  let written = `${text}{`;
  for (const [index, key] of Object.keys(object).entries()) {
    if (written.length > LONGEST_TEXT) break;
    written += `${index === 0 ? "" : ","}${JSON.stringify(key.slice(0, LONGEST_TEXT))}:`;
    written = write(written, Reflect.get(object, key), depth + 1);
  }
  return `${written}}`;
}
