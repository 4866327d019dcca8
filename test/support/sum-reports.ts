import { readFileSync } from "node:fs";

/**
 * Sums vitest's JSON reports and prints the closing line: `node sum-reports.ts FAILED REPORT...`. FAILED is 1 when a
 * stage failed; a stage that left no report has crashed and counts as one failure. Exits with 1 unless all passed.
 */
const [failed, ...paths] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const path of paths) {
  try {
    const report = JSON.parse(readFileSync(path, "utf8"));
    sum.passed += report.numPassedTests;
    sum.failed += report.numFailedTests;
    sum.skipped += report.numPendingTests + report.numTodoTests;
    if (!report.success && report.numFailedTests === 0) sum.failed += 1;
  } catch (error) {
    console.error(`no report at ${path}: ${error instanceof Error ? error.message : error}`);
    sum.failed += 1;
  }
}
if (failed !== "0" && sum.failed === 0) sum.failed = 1;
if (sum.passed === 0) sum.failed += 1;
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed === 0 ? 0 : 1;
