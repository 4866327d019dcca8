import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { plotsOf } from "./plots.ts";
import { RESULTS_FILE, type Results } from "./results.ts";
import { pageOf, withRatios } from "./tables.ts";

export const PAGE_FILE = "results.md";

/** Writes the results of a run as JSON, as a page of tables, and as plots. */
export function writeReport(folder: string, results: Results): void {
  const { list, files } = plotsOf(withRatios(results));
  writeFileSync(join(folder, RESULTS_FILE), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(folder, PAGE_FILE), pageOf(results, list));
  for (const [name, svg] of files) writeFileSync(join(folder, name), svg);
}
