import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Prints a table with its head in the first row, and writes the table and all figures to bench/results/NAME.md and
 * .json.
 */
export function writeResults(name: string, text: string, rows: readonly (readonly string[])[], figures: object): void {
  const [head = [], ...body] = rows;
  const table = [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.md`), `${text}\n\n${table}\n`);
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(figures, null, 2)}\n`);
  process.stdout.write(`${text}\n\n${table}\n`);
}
