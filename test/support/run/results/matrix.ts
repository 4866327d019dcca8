import type { RecordLine } from "./result-sum.ts";

/** What one suite has shown on one kernel. */
export interface Cell {
  readonly kernel: string;
  readonly suite: string;
  readonly passed: number;
  readonly total: number;
  readonly seconds: number;
}

/** The folder of a test file, which is its suite: "kernel", or for `test/e2e/node/rules.test.ts` "e2e/node". */
export function suiteOf(file: string): string {
  return file.split("/").slice(1, -1).join("/");
}

/** The cells that the records of one kernel fill. A test that has several results in a record counts by the last. */
export function cellsOf(kernel: string, lines: readonly RecordLine[]): readonly Cell[] {
  return [...Map.groupBy(lines, ({ file }) => suiteOf(file))].map(([suite, own]) => {
    const states = new Map<string, boolean>();
    let ms = 0;
    for (const line of own) {
      if (line.kind === "test") states.set(line.test, line.state === "passed");
      else if (line.kind === "file began") for (const test of line.tests) states.set(test, false);
      else ms += line.ms ?? 0;
    }
    const passed = [...states.values()].filter(Boolean).length;
    return { kernel, suite, passed, total: states.size, seconds: Math.round(ms / 1_000) };
  });
}

/**
 * The table of suites and kernels in Markdown, with these cells in place of those that `before` has. Cells that this run has
 * not filled stay as they are, so that single cells can be run anew.
 */
export function mergedMatrix(before: string, kernels: readonly string[], cells: readonly Cell[]): string {
  const texts = textsOf(before);
  for (const cell of cells) texts.set(`${cell.suite} ${cell.kernel}`, textOf(cell));
  const suites = [...new Set([...texts.keys()].map((key) => key.split(" ")[0] ?? ""))].toSorted();
  const rows = suites.map((suite) => [`\`${suite}\``, ...kernels.map((name) => texts.get(`${suite} ${name}`) ?? "")]);
  const table = [["suite", ...kernels], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(5, ...table.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) => `| ${row.map((text, at) => text.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = table;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}

/** A text with these cells in the table between `<!-- kernels -->` and `<!-- /kernels -->`. Throws if a marker is missing. */
export function withMatrix(text: string, kernels: readonly string[], cells: readonly Cell[]): string {
  const parts = /^(.*<!-- kernels -->\n)(.*)(<!-- \/kernels -->.*)$/s.exec(text);
  if (parts === null) throw new Error("There is no <!-- kernels --> with a <!-- /kernels --> after it");
  const [, head = "", before = "", tail = ""] = parts;
  return `${head}\n${mergedMatrix(before, kernels, cells)}\n\n${tail}`;
}

function textOf({ passed, total, seconds }: Cell): string {
  return `${passed === total ? total : `${passed} of ${total}`} in ${seconds} s`;
}

/** The cells of a table, each by the names of its suite and its kernel. */
function textsOf(table: string): Map<string, string> {
  const rows = table.split("\n").filter((row) => row.startsWith("|"));
  const [head = [], , ...body] = rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((text) => text.trim()),
  );
  const texts = new Map<string, string>();
  for (const [suite = "", ...own] of body)
    for (const [at, text] of own.entries())
      if (text !== "") texts.set(`${suite.replaceAll("`", "")} ${head[at + 1]}`, text);
  return texts;
}
