import fc from "fast-check";
import { expect, test } from "vitest";
import {
  manifestPart,
  ProblemList,
  problemFields,
  problemObject,
  problemObjectText,
} from "../../../../src/model/cluster/problem.ts";

test.each([
  ["Service shop/web", problemObject("Service", "shop/web")],
  ["Node node-a", problemObject("Node", "node-a")],
  ["EndpointSlice without a valid name", problemObject("EndpointSlice", "")],
  ["Service shop/web in file a.yaml document 3", problemObject("Service", "shop/web", "file a.yaml document 3")],
  ["Service without a valid name in file a.yaml", problemObject("Service", "", "file a.yaml")],
  ["file a.yaml", manifestPart("file a.yaml")],
])("the object of a problem is written as %s", (text, object) => {
  expect(problemObjectText(object)).toBe(text);
});

test("a path is a namespace and a name, or a name alone", () => {
  expect(problemObject("Service", "shop/web")).toMatchObject({ namespace: "shop", name: "web" });
  expect(problemObject("Node", "node-a")).toMatchObject({ namespace: "", name: "node-a" });
});

test("fields of a problem come in the order in which they are shown", () => {
  const problem = { reason: "must be a port", value: "0", field: "spec", object: problemObject("Service", "shop/web") };
  expect(Object.entries(problemFields(problem)).flat()).toEqual([
    ...["object", "Service shop/web", "field", "spec"],
    ...["value", "0", "reason", "must be a port"],
  ]);
});

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 600 }),
  fc.constantFrom("\u001b[31mred", "a\r\nb", "\u202egnp", "\u200b", "\u2028", "\ud83d", "\u009b2J", "\u{e0041}"),
);

/** Control characters, direction marks, line ends, and invisible characters. */
function isHidden(code: number): boolean {
  const isControl = code < 0x20 || (code >= 0x7f && code <= 0x9f);
  const turns =
    (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return isControl || turns || code === 0xfeff || code === 0xe0001 || (code >= 0xe0020 && code <= 0xe007f);
}

const WEB = problemObject("Service", "shop/web");

test("for any object at most ten problems and the number of the others are listed, each on one line of bounded length", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.anything(), text), { maxLength: 30 }), (wrong) => {
      const list = new ProblemList(WEB);
      for (const [field, value, reason] of wrong) list.add(field, value, reason);
      const listed = list.list();
      expect(list.count).toBe(wrong.length);
      expect(listed).toHaveLength(Math.min(wrong.length, 11));
      if (wrong.length > 10) {
        const more = {
          object: WEB,
          field: "",
          value: `${wrong.length - 10} more problems`,
          reason: "are not listed",
        };
        expect(listed[10]).toEqual(more);
      }
      for (const { field, value, reason } of listed) {
        for (const shown of [field, value, reason]) {
          expect(Array.from(shown, (character) => character.codePointAt(0) ?? 0).filter(isHidden)).toEqual([]);
          expect(shown.isWellFormed()).toBe(true);
          expect(shown.length).toBeLessThan(6 * 500 + 10);
        }
      }
    }),
  );
});
