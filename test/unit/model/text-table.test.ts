import { expect, test } from "vitest";
import { TextTable } from "../../../src/model/text-table.ts";

test("a table that is full is followed by another, and its numbers stay good", () => {
  const first = new TextTable();
  for (let number = 0; number < 65_535; number++) expect(first.numberOf(`node-${number}`)).toBe(number);
  expect(first.orNext()).toBe(first);
  first.numberOf("last");
  expect(first.orNext().find("last")).toBe(undefined);
  expect([first.at(0), first.at(65_535), first.find("node-77")]).toEqual(["node-0", "last", 77]);
});

test("a number that no text has is no text", () => {
  expect(new TextTable().at(0)).toBe("");
});
