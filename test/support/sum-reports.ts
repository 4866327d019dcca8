import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

/**
 * Sums vitest's JSON reports and prints the closing line: `node sum-reports.ts FAILED REPORT...`, where FAILED is 1 when
 * anything besides the tests failed. Every file of tests must be in a report: one that is in none, since its guest died or
 * nobody asked for it, counts as a failure. Exits with 1 unless all passed.
 */
interface FileReport {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string }[];
}

function filesOf(path: string): readonly FileReport[] {
  try {
    return JSON.parse(readFileSync(path, "utf8")).testResults;
  } catch (error) {
    console.error(`no report at ${path}: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

/** Of one file; one that failed as a whole has one failure besides the tests that it kept from running. */
function counts({ status, assertionResults }: FileReport): { passed: number; failed: number; skipped: number } {
  const number = (...statuses: readonly string[]) =>
    assertionResults.filter((result) => statuses.includes(result.status)).length;
  const [passed, failed] = [number("passed"), number("failed")];
  const others = assertionResults.length - passed - failed;
  if (status === "failed" && failed === 0) return { passed, failed: 1 + others, skipped: 0 };
  return { passed, failed, skipped: others };
}

const [failed, ...paths] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };
const missing = new Set(globSync("test/**/*.test.ts").map((path) => resolve(path)));
for (const file of paths.flatMap(filesOf)) {
  const { passed, failed, skipped } = counts(file);
  sum.passed += passed;
  sum.failed += failed;
  sum.skipped += skipped;
  missing.delete(resolve(file.name));
}
for (const file of missing) console.error(`no result of ${file}`);
sum.failed += missing.size;
if (failed !== "0" && sum.failed === 0) sum.failed = 1;
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed === 0 ? 0 : 1;
