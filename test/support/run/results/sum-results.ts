import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { KERNELS } from "../kernels.ts";
import { type Job, jobOf, kernelFiles } from "../pool/plan.ts";
import { cellsOf, mergedMatrix, withMatrix } from "./matrix.ts";
import { leftOutSum, type RecordLine, sumResults } from "./result-sum.ts";

/**
 * Sums the records of a run and prints the closing line: `node sum-results.ts [--failed] [--write] CACHE [RECORD...]`. CACHE has
 * the list of jobs and their records; the RECORDs are of the tests that need no kernel, if they were to run. `--failed`:
 * anything besides the tests failed. `--write`: test/README.md gets the table of suites and kernels, else it is printed.
 * Exits with 1 unless every test has passed: a skipped one is not green. The files of jobs for which TEST_MINUTES did not
 * suffice are named and counted as skipped, one each; they alone do not make the run red, as whoever set TEST_MINUTES asked for it.
 */
const README = "test/README.md";

/** Empty for a file that is not there. */
function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function linesOf(path: string): readonly RecordLine[] {
  const texts = textOf(path).split("\n");
  // The last is empty, or the half of a line that a killed run has left.
  return texts.slice(0, -1).map((text) => JSON.parse(text));
}

function jobsIn(path: string): readonly Job[] {
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").map(jobOf) : [];
}

const { values, positionals } = parseArgs({
  options: { failed: { type: "boolean" }, write: { type: "boolean" } },
  allowPositionals: true,
});
const [cache = "", ...records] = positionals;
const needKernel = new Set(kernelFiles());
const others = globSync("test/**/*.test.ts").filter((file) => !needKernel.has(file));
const leftOut = new Set(textOf(`${cache}/left-out.txt`).trim().split("\n").map(Number));
const jobs = jobsIn(`${cache}/jobs.txt`).map(({ kernel, files }, index) => ({
  kernel,
  files,
  lines: linesOf(`${cache}/results-kernel-${index + 1}.jsonl`),
  leftOut: leftOut.has(index + 1),
}));
const sums = [
  ...(records.length === 0 ? [] : [sumResults(records.flatMap(linesOf), others.toSorted())]),
  ...jobs.map(({ kernel, files, lines, leftOut }) => {
    const sum = leftOut ? leftOutSum(files) : sumResults(lines, files);
    return { ...sum, remarks: sum.remarks.map((remark) => `on kernel ${kernel}: ${remark}`) };
  }),
];

const cells = [...Map.groupBy(jobs, ({ kernel }) => kernel)].flatMap(([kernel, own]) =>
  cellsOf(
    kernel,
    own.flatMap(({ lines }) => lines),
  ),
);
const names = KERNELS.map(({ name }) => name);
if (values.write) {
  writeFileSync(README, withMatrix(readFileSync(README, "utf8"), names, cells));
} else {
  const run = new Set(cells.map(({ kernel }) => kernel));
  console.log(mergedMatrix("", run.has("host") ? ["host", ...names] : names, cells));
}

const total = (count: "passed" | "failed" | "skipped") => sums.reduce((sum, one) => sum + one[count], 0);
const [passed, counted, skipped] = [total("passed"), total("failed"), total("skipped")];
const failed = values.failed && counted === 0 ? 1 : counted;
for (const remark of sums.flatMap(({ remarks }) => remarks)) console.error(remark);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
const allowed = sums.reduce((sum, { leftOut = 0 }) => sum + leftOut, 0);
process.exitCode = failed === 0 && skipped === allowed && passed > 0 ? 0 : 1;
