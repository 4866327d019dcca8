import fc from "fast-check";
import { expect, test } from "vitest";
import { localMark, localMarkCount, markedLocal } from "../../../../src/node/rules/local-mark.ts";

test.each([
  [0, 0x107f, 0x1000],
  [1, 0x107f, 0x1001],
  [127, 0x107f, 0x107f],
  [1, 0x6, 0x6],
  [5, 0x1503, 0x1101],
])("local mark %i within the mask 0x%x is computed", (index, mask, mark) => {
  expect(localMark(index, mask)).toBe(mark);
});

/** Bits as text, so that the test does not repeat the arithmetic of the code. */
const bits = (number: number) => number.toString(2).padStart(32, "0");

test("every mark lies within its mask, has its highest bit and is unique", () => {
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 0x7fff }), (mask) => {
      const count = localMarkCount(mask);
      const marks = Array.from({ length: count }, (_, index) => localMark(index, mask));
      const highest = bits(mask).indexOf("1");
      expect(new Set(marks).size).toBe(2 ** (bits(mask).replaceAll("0", "").length - 1));
      for (const mark of marks) {
        expect(bits(mark).indexOf("1")).toBe(highest);
        expect([...bits(mark)].every((bit, index) => bit === "0" || bits(mask)[index] === "1")).toBe(true);
      }
    }),
    { numRuns: 30 },
  );
});

test("a packet with any of our marks is recognised, and one with a foreign mark in the gap of the mask is not", () => {
  const [known = 0, mask = 0] = markedLocal({ localMarkMask: 0x107f }).split("/").map(Number);
  const isKnown = (packet: number) => (packet & mask) === known;
  const ours = Array.from({ length: 128 }, (_, index) => localMark(index, 0x107f));
  expect(ours.every(isKnown)).toBe(true);
  // Calico sets bits above 16 between our rules; Cilium's IPsec marks are a key in 0xf000 and 0x0e00 or 0x0d00.
  expect(ours.map((one) => one + 0x10000).every(isKnown)).toBe(true);
  // Cilium marks packets of the node by 0x0c00 in 0x0f00.
  expect(ours.map((one) => one + 0xc00).every(isKnown)).toBe(true);
  expect([0x1e00, 0x1d00, 0x3e00, 0xfe00, 0xabcd1e00, 0x4000, 0].some(isKnown)).toBe(false);
});
