import fc from "fast-check";
import { expect, test } from "vitest";
import { objectText } from "../../../src/sources/api/stream/object-text.ts";

const { STRESS = "1" } = process.env;

/** Texts similar to the searched key, or to its end. */
const text = fc.oneof(
  fc.constantFrom(
    '"managedFields":[',
    '\\"managedFields":[',
    "managedFields",
    '"managedFields',
    "\\",
    '"',
    "]",
    "[",
    '}],"',
    "ü\u2028",
  ),
  fc.string(),
);
/** Once V8 14.6 has read the key "\\", its JSON.parse takes a key of one escaped character, as "\n", for that one. */
const key = text.filter((any) => any !== "\\");
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small" },
    text,
    fc.constantFrom(null, true, 1.5),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(key, tie("json"), { maxKeys: 4 }),
  ),
}));

/** Through bytes in one piece, or in two cut at any place. */
function throughBytes(text: string, cut: number): string {
  const bytes = Buffer.from(text);
  return objectText(cut < bytes.length ? [bytes.subarray(0, cut), bytes.subarray(cut)] : [bytes]);
}

/** The value with every list of that name emptied. */
function emptied(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(emptied);
  if (typeof value !== "object" || value === null) return value;
  const isList = (key: string, inner: unknown) => key === "managedFields" && Array.isArray(inner);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, isList(key, inner) ? [] : emptied(inner)]),
  );
}

test("only lists of managedFields are removed", () => {
  fc.assert(
    fc.property(json, fc.nat(200), (value, cut) => {
      const written = JSON.stringify(value);
      expect(emptied(JSON.parse(throughBytes(written, cut)))).toEqual(emptied(JSON.parse(written)));
    }),
    { numRuns: 2_000 * Number(STRESS) },
  );
});

test("managedFields are removed before parsing", () => {
  const metadata = { name: "]\\", managedFields: [{ manager: 'a"]b', fieldsV1: { "f:x": [[], "\\"] } }], uid: "7" };
  expect(throughBytes(JSON.stringify({ metadata }), 50)).toBe(
    JSON.stringify({ metadata: { ...metadata, managedFields: [] } }),
  );
});

test.each([
  ['{"managedFields":[', "no end"],
  ['{"managedFields":["]', "an open string"],
  ['{"managedFields":[[]', "an open list"],
])("the text %s stays unchanged: %s", (broken) => {
  expect(throughBytes(broken, 8)).toBe(broken);
});
