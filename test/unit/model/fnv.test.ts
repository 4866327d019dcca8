import { expect, test } from "vitest";
import { fnv1a } from "../../../src/model/fnv.ts";

// Test vectors of the authors: www.isthe.com/chongo/src/fnv/test_fnv.c.
test.each([
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["foobar", 0xbf9cf968],
  ["chongo was here!\n", 0xd49930d5],
])("the FNV hash of %j is the published one", (text, hash) => {
  expect(fnv1a(text)).toBe(hash);
});
