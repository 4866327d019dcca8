import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { operatorTexts, PAGE } from "../support/texts/operator-texts.ts";
import { literalsOf } from "../support/texts/source-literals.ts";

test("test/support/texts/operator-texts.md has all texts of the sources: npm run docs", () => {
  expect(readFileSync(PAGE, "utf8")).toBe(`${operatorTexts()}\n`);
});

test.each<[string, readonly string[]]>([
  ['const a = "one two";', ["one two"]],
  ["const a = 'one \\'two\\'\\n';", ["one 'two'\n"]],
  [`const a = \`one \${b} two\`;`, ["one … two"]],
  [`const a = \`one \${b ? "two" : \`three \${c}\`} four\`;`, ["two", "three …", "one … four"]],
  [`const a = \`one \${{ b: 1 }.b} two\`;`, ["one … two"]],
  ['// "no" \n/* "no" */ a("yes");', ["yes"]],
  ['const a = /"[/"]/.test("yes");', ["yes"]],
  ['const a = b / c + "yes" / d;', ["yes"]],
  ['return /"/g.exec("yes")', ["yes"]],
])("the literals of %j are found", (source, texts) => {
  expect(literalsOf(source).map(({ text }) => text)).toEqual(texts);
});

test("a literal knows the calls around it, the innermost first", () => {
  const source = 'this.#logger.warn({ a: b.join(", ") }, c ? "one" : `two`); new Map<string, number>(["three"]);';
  expect(literalsOf(source)).toEqual([
    { text: ", ", calls: ["b.join", "this.#logger.warn"] },
    { text: "one", calls: ["this.#logger.warn"] },
    { text: "two", calls: ["this.#logger.warn"] },
    { text: "three", calls: ["Map"] },
  ]);
});
