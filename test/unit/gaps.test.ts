import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

interface Row {
  readonly section: string;
  readonly gap: string;
  readonly here: string;
  readonly shownBy: string;
}

/** The rows of the tables of src/GAPS.md. */
function rows(): readonly Row[] {
  const [, ...sections] = readFileSync(join(ROOT, "src/GAPS.md"), "utf8").split(/^## /m);
  return sections.flatMap((text) => {
    const [section = "", ...lines] = text.split("\n");
    return lines.flatMap((line) => {
      const [gap = "", , here = "", shownBy = ""] = line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim());
      return /^G-\d+$/.test(gap) ? [{ section, gap, here, shownBy }] : [];
    });
  });
}

test("every gap from G-1 to G-76 has one row", () => {
  const numbers = rows().map(({ gap }) => Number(gap.slice(2)));
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 76 }, (_, index) => index + 1));
});

test("no gap of Service semantics is left for later", () => {
  const meant = rows().filter(({ section }) => section === "What Services mean");
  expect(meant.filter(({ here }) => !/^(fixed|kept)\b/.test(here))).toEqual([]);
});

describe.each(rows().filter(({ here }) => here.startsWith("fixed")))("$gap is fixed, and", ({ shownBy }) => {
  const files = [...shownBy.matchAll(/`([^`]+\.ts)`/g)].map(([, file = ""]) => `test/${file}`);
  const scenarios = shownBy.replace(/`[^`]*`/g, "").match(/[a-z]+(-[a-z]+)+/g) ?? [];
  const named = [...files, ...scenarios.map((name) => `test/scenarios/*/${name}.txt`)];

  test("the named tests exist", () => {
    expect(named).not.toEqual([]);
    expect(named.filter((file) => globSync(file, { cwd: ROOT }).length === 0)).toEqual([]);
  });
});
