import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Equality,
  identical,
  ignored,
  sameFields,
  sameList,
  sameMap,
  sameOrAbsent,
  sameValues,
} from "../../../src/model/equality.ts";

interface Thing {
  readonly name: string;
  readonly list: readonly string[];
  readonly comment: string;
  readonly limit?: number;
}

const EQUALITY: Equality<Thing> = { name: identical, list: sameValues, comment: ignored, limit: identical };

const things: fc.Arbitrary<Thing> = fc.record(
  {
    name: fc.constantFrom("a", "b"),
    list: fc.array(fc.constantFrom("x", "y"), { maxLength: 2 }),
    comment: fc.constantFrom("", "c"),
    limit: fc.constantFrom(0, 1),
  },
  { requiredKeys: ["name", "list", "comment"] },
);

describe("sameFields", () => {
  const same = sameFields(EQUALITY);

  test("compares every field except the ignored ones", () => {
    fc.assert(
      fc.property(things, things, (a, b) => {
        const text = ({ name, list, limit }: Thing) => JSON.stringify([name, list, limit]);
        expect(same(a, b)).toBe(text(a) === text(b));
      }),
    );
  });

  test("does not compile without a comparison for each field", () => {
    // @ts-expect-error: `limit` has none, though a Thing may do without it
    const forgotten: Equality<Thing> = { name: identical, list: sameValues, comment: ignored };
    expect(Object.keys(forgotten)).not.toContain("limit");
  });
});

test("sameMap compares keys and values, and not their order", () => {
  const maps = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom(0, 1), { maxKeys: 3 });
  const same = sameMap<string, number>(identical);
  fc.assert(
    fc.property(maps, maps, (a, b) => {
      const sorted = (map: object) => JSON.stringify(Object.entries(map).sort());
      expect(same(new Map(Object.entries(a)), new Map(Object.entries(b)))).toBe(sorted(a) === sorted(b));
    }),
  );
});

test("sameList compares lengths and items in order", () => {
  const same = sameList<{ readonly id: number }>((a, b) => a.id === b.id);
  expect(same([{ id: 1 }, { id: 2 }], [{ id: 1 }, { id: 2 }])).toBe(true);
  expect(same([{ id: 1 }, { id: 2 }], [{ id: 2 }, { id: 1 }])).toBe(false);
  expect(same([{ id: 1 }], [{ id: 1 }, { id: 2 }])).toBe(false);
});

test("an absent value differs from an empty one", () => {
  const same = sameOrAbsent(sameValues);
  expect(same(undefined, undefined)).toBe(true);
  expect(same(undefined, [])).toBe(false);
  expect(same([], undefined)).toBe(false);
  expect(same([], [])).toBe(true);
});
