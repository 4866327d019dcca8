import { describe, expect, test } from "vitest";
import { ItemSplitter } from "../../../../../src/sources/api/stream/item-splitter.ts";
import { LineSplitter } from "../../../../../src/sources/api/stream/watch-stream.ts";

/** The same bytes in pieces of every small size. */
const SIZES = [1, 2, 3, 5, 64, 100_000];

function pieces(text: string, size: number): readonly Uint8Array[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

describe("lines", () => {
  test.each(SIZES)("are whole whatever the chunks, in pieces of %i bytes", (size) => {
    const splitter = new LineSplitter();
    const text = 'one\n{"t":"é🦊\u2028"}\n\n\r\n \t\n  three \n \nrest';
    const lines = pieces(text, size).flatMap((piece) => [...splitter.push(piece)]);
    expect(lines, "without blank lines").toEqual(["one", '{"t":"é🦊\u2028"}', "three "]);
    expect(splitter.pendingBytes).toBe(4);
    expect([...splitter.push(Buffer.from("\n \r"))]).toEqual(["rest"]);
    expect(splitter.pendingBytes, "blanks are no line that has begun").toBe(0);
  });
});

const ITEMS = [
  { metadata: { name: "a", labels: {} }, spec: { items: [{ metadata: 1 }], text: '"]}{[\\' } },
  { metadata: { name: "é🦊\u2028" } },
  {},
];

describe("items of a list", () => {
  test.each(SIZES.flatMap((size) => [[size, 0] as const, [size, 2] as const]))(
    "come out as they are in pieces of %i bytes, indented by %i",
    (size, indent) => {
      const metadata = { resourceVersion: "7", continue: "items" };
      const body = JSON.stringify({ kind: "items", apiVersion: 'x"', metadata, items: ITEMS }, undefined, indent);
      const splitter = new ItemSplitter();
      const parts = pieces(`${body}\n`, size).flatMap((piece) => [...splitter.push(piece)]);
      expect(parts.map((part) => [part.kind, JSON.parse(part.text)])).toEqual([
        ["metadata", metadata],
        ...ITEMS.map((item) => ["item", item]),
      ]);
      expect([splitter.complete, splitter.pendingBytes]).toEqual([true, 0]);
    },
  );

  test.each(["null", "[]"])("may be %s", (items) => {
    const splitter = new ItemSplitter();
    const parts = [...splitter.push(Buffer.from(`{"items":${items},"metadata":{"resourceVersion":"1"}}`))];
    expect(parts).toEqual([{ kind: "metadata", text: '{"resourceVersion":"1"}' }]);
    expect(splitter.complete).toBe(true);
  });

  test("are not complete before the last bracket", () => {
    const body = JSON.stringify({ metadata: {}, items: ITEMS });
    const splitter = new ItemSplitter();
    const complete = pieces(body, 1).map((piece) => {
      for (const _ of splitter.push(piece));
      return splitter.complete;
    });
    expect(complete.indexOf(true)).toBe(body.length - 1 + Buffer.byteLength(body) - body.length);
  });
});
