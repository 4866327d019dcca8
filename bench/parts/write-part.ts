import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableOf } from "../report/tables.ts";

/** Prints a table with its head in the first row, and writes the table and all figures to FOLDER/NAME.md and .json. */
export function writePart(
  folder: string,
  name: string,
  {
    text,
    rows,
    figures,
  }: { readonly text: string; readonly rows: readonly (readonly string[])[]; readonly figures: object },
): void {
  const page = `${text}\n\n${tableOf(rows)}\n`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.md`), page);
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(figures, null, 2)}\n`);
  process.stdout.write(page);
}
