import { expect, test } from "vitest";
import { problemObjectText } from "../../../../src/model/cluster/problem.ts";
import { parseDocuments } from "../../../../src/sources/manifests/manifest-documents.ts";

/** Documents as their value, or "line N: reason" where there is none. */
async function parsed(file: string, text: string) {
  return (await parseDocuments(file, text)).map((document) =>
    document.kind === "parsed"
      ? [document.number, document.value]
      : [document.number, problemObjectText(document.problem.object), document.problem.field, document.problem.reason],
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
  ["a list that contains itself", "b: &c\n- *c\n", 2, "line 4", /anchor "c" contains itself/],
  ["a map in itself, deeper", "b: &c\n  d: [{e: *c}]\n", 2, "line 4", /anchor "c" contains itself/],
  ["a value in itself beside others", `b: &c [${"*c,".repeat(500)}]\n`, 2, "line 3", /anchor "c" contains itself/],
  ["a key twice by its text", "1: a\n'1': b\n", 2, "line 4", /the key "1" twice/],
  ["101 levels of lists", `${"[".repeat(101)}${"]".repeat(101)}\n`, 2, "line 3", /deeper than 100 levels/],
  ["20,000 levels of lists", `${"[".repeat(20_000)}${"]".repeat(20_000)}\n`, 2, "line 3", /call stack|levels/],
  ["more than 1,000 aliases", `x: &x 1\nb: [${"*x,".repeat(1_001)}]\n`, 2, "line 4", /more than 1000 aliases/],
])("a document with %s breaks alone and is told with its line", async (_, text, number, line, reason) => {
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
  expect(document).toMatchObject({ kind: "unparsable", problem: { reason: expect.stringMatching(/alias/) } });
});

test("a document that the parser itself fails at costs what follows it, not what went before", async () => {
  expect(await parsed("a.yaml", `a: 1\n---\n${"- ".repeat(20_000)}x\n---\nc: 3\n`)).toEqual([
    [1, { a: 1 }],
    [
      2,
      "file a.yaml document 2",
      "",
      expect.stringMatching(/cannot be parsed, and the rest of the file is skipped: .*call stack/),
    ],
  ]);
});

test("an anchor may be used after it ended, and again after it was set anew within itself", async () => {
  expect(await parsed("a.yaml", "a: &x [1, &x 2, *x]\nb: &y {c: 1}\nd: [*y, *y]\n")).toEqual([
    [1, { a: [1, 2, 2], b: { c: 1 }, d: [{ c: 1 }, { c: 1 }] }],
  ]);
});

test("merge keys work as in kubectl", async () => {
  expect(await parsed("a.yaml", "a: &x {port: 80, name: web}\nb: {<<: *x, name: dns}\n")).toEqual([
    [1, { a: { port: 80, name: "web" }, b: { port: 80, name: "dns" } }],
  ]);
});

test.each(["__proto__: {polluted: 1}", "a: &x {__proto__: {polluted: 1}}\nb: {<<: *x}", "constructor: {prototype: 1}"])(
  "a document %j changes no prototype",
  async (text) => {
    await parseDocuments("a.yaml", text);
    await parseDocuments("a.json", '{"__proto__": {"polluted": 1}}');
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  },
);

test("a wrong JSON file of more than a megabyte is not parsed as YAML", async () => {
  const text = `{"a": "${"x".repeat(1_100_000)}", }`;
  expect(await parsed("a.json", text)).toEqual([
    [1, "file a.json document 1", "", expect.stringMatching(/^is not JSON: .*JSON/)],
  ]);
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
