import { globSync, readFileSync } from "node:fs";
import { type RecordLine, sumResults } from "./result-sum.ts";

/**
 * Sums the records of all stages and prints the closing line: `node sum-results.ts FAILED RECORD...`, where FAILED is 1 when
 * anything besides the tests failed. Exits with 1 unless every test has passed: a skipped one is not green.
 */
function linesOf(path: string): readonly RecordLine[] {
  const texts = readFileSync(path, "utf8").split("\n");
  // The last is empty, or the half of a line that a killed run has left.
  return texts.slice(0, -1).map((text) => JSON.parse(text));
}

const [otherFailed, ...paths] = process.argv.slice(2);
const files = globSync("test/**/*.test.ts").toSorted();
const { passed, failed: counted, skipped, remarks } = sumResults(paths.flatMap(linesOf), files);
const failed = otherFailed !== "0" && counted === 0 ? 1 : counted;
for (const remark of remarks) console.error(remark);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed + skipped === 0 ? 0 : 1;
