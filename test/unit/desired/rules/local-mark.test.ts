import fc from "fast-check";
import { expect, test } from "vitest";
import { localMark, localMarkCount, markedLocal } from "../../../../src/desired/rules/local-mark.ts";

test.each([
  [0, 0x107f, 0x1000],
  [1, 0x107f, 0x1001],
  [127, 0x107f, 0x107f],
  [1, 0x6, 0x6],
  [5, 0x1503, 0x1101],
])("mark %i of the mask 0x%x", (index, mask, mark) => {
  expect(localMark(index, mask)).toBe(mark);
});

/** Bits as text, so that no arithmetic of ours judges itself. */
const bits = (number: number) => number.toString(2).padStart(32, "0");

test("every mark lies within its mask, has its highest bit and is another than the others", () => {
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

test("a packet is known to wear a mark by its highest bit", () => {
  expect(markedLocal({ localMarkMask: 0x107f })).toBe("0x1000/0x1000");
});
