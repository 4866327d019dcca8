import { valueText } from "../../../model/value-text.ts";
import { field, isJsonObject, type JsonObject } from "../../decode/object-reader.ts";

/** The type of the values of each kind of field. Errors do not show the value of a `secret`. */
interface Values {
  readonly text: string;
  readonly secret: string;
  readonly base64: string;
  readonly boolean: boolean;
  readonly texts: readonly string[];
  readonly "map of texts": Readonly<Record<string, readonly string[]>>;
  readonly object: JsonObject;
  readonly list: readonly unknown[];
}

export type FieldKind = keyof Values;

export type CheckedFields<Kinds extends Readonly<Record<string, FieldKind>>> = {
  readonly [Name in keyof Kinds]?: Values[Kinds[Name]];
};

const MUST_BE: Readonly<Record<FieldKind, string>> = {
  text: "a text; write numbers in quotes",
  secret: "a text; write numbers in quotes",
  base64: "base64",
  boolean: "true or false",
  texts: "a list of texts",
  "map of texts": "a map of lists of texts",
  object: "a map",
  list: "a list",
};

const IS_KIND: Readonly<Record<FieldKind, (value: unknown) => boolean>> = {
  text: isText,
  secret: isText,
  base64: (value) => isText(value) && isBase64(value),
  boolean: (value) => typeof value === "boolean",
  texts: isTexts,
  "map of texts": (value) => isJsonObject(value) && Object.values(value).every(isTexts),
  object: isJsonObject,
  list: Array.isArray,
};

/**
 * Reads these fields of an object, and no others. An absent field, null and an empty text are the same, as in client-go.
 * Throws for the first invalid field. The error has the value, unless the value may be secret. `where` names the object.
 */
export function checkedFields<const Kinds extends Readonly<Record<string, FieldKind>>>(
  object: JsonObject,
  kinds: Kinds,
  where: string,
): CheckedFields<Kinds> {
  const found: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(kinds)) {
    const value = field(object, name);
    if (value === undefined || value === "") continue;
    if (!IS_KIND[kind](value))
      throw new Error(`Cannot use ${name} of ${where}: must be ${MUST_BE[kind]}, is ${shown(value, kind)}`);
    found[name] = value;
  }
  // The loop has checked that each value is of its kind.
  return found as CheckedFields<Kinds>;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

/** Whether Go accepts the base64 text: padded, with line breaks anywhere. `Buffer.from` would skip invalid characters. */
function isBase64(text: string): boolean {
  const digits = text.replace(/[\r\n]/g, "");
  return digits.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(digits);
}

function shown(value: unknown, kind: FieldKind): string {
  if (kind === "secret" || kind === "base64") return `a ${typeof value}`;
  return typeof value === "string" ? `"${valueText(value)}"` : valueText(value);
}
