import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Prints a table, whose first row is its head, and writes it and all figures to bench/results/NAME.md and .json. */
export function writeResults(name: string, text: string, rows: readonly (readonly string[])[], figures: object): void {
  const [head = [], ...body] = rows;
  const table = [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.md`), `${text}\n\n${table}\n`);
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(figures, null, 2)}\n`);
  process.stdout.write(`${text}\n\n${table}\n`);
}
