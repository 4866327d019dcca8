import fc from "fast-check";
import { expect, test } from "vitest";
import { TextTable } from "../../../src/model/text-table.ts";
import { collidingTexts } from "../../support/hostile/colliding-texts.ts";

test("a full table is followed by another, and its numbers stay valid", () => {
  const first = new TextTable();
  for (let number = 0; number < 65_535; number++) expect(first.numberOf(`node-${number}`)).toBe(number);
  expect(first.orNext()).toBe(first);
  first.numberOf("last");
  expect(first.orNext().find("last")).toBe(undefined);
  expect([first.at(0), first.at(65_535), first.find("node-77")]).toEqual(["node-0", "last", 77]);
});

test("an unknown number has no text", () => {
  expect(new TextTable().at(0)).toBe("");
});

test("texts are numbered as by a Map, also with colliding hashes", () => {
  const colliding = collidingTexts(7);
  const text = fc.oneof(fc.constantFrom(...colliding), fc.string({ maxLength: 3 }));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 300 }), (texts) => {
      const table = new TextTable();
      const model = new Map<string, number>();
      const answers = texts.map((one) => [table.find(one), table.numberOf(one)]);
      const expected = texts.map((one) => {
        const before = model.get(one);
        if (before === undefined) model.set(one, model.size);
        return [before, model.get(one)];
      });
      expect(answers).toEqual(expected);
      expect([...model.keys()].map((one) => table.at(table.find(one) ?? -1))).toEqual([...model.keys()]);
    }),
  );
});

/** CPU time of a table of these texts, each read four times. */
function cpuOf(texts: readonly string[]): number {
  const start = process.cpuUsage();
  const table = new TextTable();
  for (let round = 0; round < 4; round++) for (const text of texts) table.numberOf(text);
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

test("8,192 node names with colliding hashes cost about as much as others", () => {
  const colliding = collidingTexts(13);
  expect(new Set(colliding).size).toBe(8192);
  const others = colliding.map((text, number) => `${number}${text}`.slice(0, text.length));
  const usual = Math.min(cpuOf(others), cpuOf(others));
  expect(Math.min(cpuOf(colliding), cpuOf(colliding)) / usual).toBeLessThan(8);
});
