import fc from "fast-check";
import { expect, test } from "vitest";
import { valueText } from "../../../src/model/value-text.ts";

const circle: unknown[] = [1];
circle.push(circle, { circle });

const throwing = {
  get port(): number {
    throw new Error("no");
  },
};

test.each<[string, unknown, string | RegExp]>([
  ["a string as it is", 'a "b"', 'a "b"'],
  ["nothing", undefined, ""],
  ["null", null, "null"],
  ["a number", 80, "80"],
  ["a list and an object like JSON", [{ a: [1, "x", true, null] }], '[{"a":[1,"x",true,null]}]'],
  ["a big integer", 12n, "12"],
  ["a symbol", Symbol("s"), "Symbol(s)"],
  ["an object that makes itself a wrong string", { toString: "x", toJSON: 1 }, '{"toString":"x","toJSON":1}'],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
  ["a value that contains itself to a depth", circle, /^\[1,\[1,\[1,.*…/],
  ["an object whose field throws", throwing, "(a value that cannot be shown)"],
  ["a long string without its end", "x".repeat(1_000_000), `${"x".repeat(200)}…`],
  ["a long list without its end", Array.from({ length: 1_000_000 }, () => 1), /^(\[1|,1){100}…$/],
])("the text of a value shows %s", (_, value, expected) => {
  if (typeof expected === "string") expect(valueText(value)).toBe(expected);
  else expect(valueText(value)).toMatch(expected);
});

test("the text of a value is JSON for plain data, cut off at 200 characters", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const json = typeof value === "string" ? value : JSON.stringify(value);
      expect(valueText(value).slice(0, 200)).toBe(json.slice(0, 200));
    }),
  );
});

test("the text of any value is short, and making it never throws", () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, withObjectString: true }), (value) => {
      expect(valueText(value).length).toBeLessThanOrEqual(201);
    }),
  );
});
