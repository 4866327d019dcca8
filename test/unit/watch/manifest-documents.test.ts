import { expect, test } from "vitest";
import { parseDocuments } from "../../../src/watch/manifest-documents.ts";

/** Documents as their value, or "line N: reason" where there is none. */
async function parsed(file: string, text: string) {
  return (await parseDocuments(file, text)).map((document) =>
    document.kind === "parsed"
      ? [document.number, document.value]
      : [document.number, document.rejection.object, document.rejection.field, document.rejection.reason],
  );
}

test("documents of a YAML file are numbered, empty ones too", async () => {
  expect(await parsed("a.yaml", "a: 1\n---\n# nothing\n---\n---\nb: [x]\n...\n")).toEqual([
    [1, { a: 1 }],
    [4, { b: ["x"] }],
  ]);
});

test.each([
  ["an open list", "b: [1\n", 2, "line 4", /Flow sequence/],
  ["a key twice", "b: 1\nb: 2\n", 2, "line 4", /keys must be unique/],
  ["a tab", "b:\n\tc: 1\n", 2, "line 4", /Tabs are not allowed/],
  ["an unknown alias", "b: *c\n", 2, "line 3", /Unresolved alias/],
])("%s breaks its document alone and is told with its line", async (_, text, number, line, reason) => {
  const object = `file a.yaml document ${number}`;
  expect(await parsed("a.yaml", `a: 1\n---\n${text}---\nc: 3\n`)).toEqual([
    [1, { a: 1 }],
    [number, object, line, expect.stringMatching(reason)],
    [3, { c: 3 }],
  ]);
});

test("an alias that would expand without end is told", async () => {
  const bomb = Array.from({ length: 9 }, (_, level) => {
    const refs =
      level === 0
        ? "x"
        : Array(9)
            .fill(`*l${level - 1}`)
            .join(",");
    return `l${level}: &l${level} [${refs}]`;
  });
  const [document] = await parseDocuments("a.yaml", bomb.join("\n"));
  expect(document).toMatchObject({ kind: "unparsable", rejection: { reason: expect.stringMatching(/alias/) } });
});

test("a JSON file is one document, and a wrong one is told with its line", async () => {
  expect(await parsed("a.json", '\n{"a": [1, 2]}\n')).toEqual([[1, { a: [1, 2] }]]);
  expect(await parsed("a.json", '{"a": 1,\n"b": [2\n')).toEqual([
    [1, "file a.json document 1", "line 3", expect.stringMatching(/./)],
  ]);
});

test("an empty file has no documents", async () => {
  expect([await parsed("a.yaml", ""), await parsed("a.json", "")]).toEqual([[], []]);
});
