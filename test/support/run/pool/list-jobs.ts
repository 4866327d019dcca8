import { parseArgs } from "node:util";
import { kernelNamed } from "../kernels.ts";
import { jobsOf, kernelFiles, lineOf } from "./plan.ts";

/** Prints the jobs of a run, a line each: `node list-jobs.ts [--host] [--all] [--kernel NAME] [--suite SUITE]`. */
try {
  const { values } = parseArgs({
    options: {
      host: { type: "boolean" },
      all: { type: "boolean" },
      kernel: { type: "string" },
      suite: { type: "string" },
    },
  });
  const { host = false, ...selection } = values;
  if (selection.kernel !== undefined) kernelNamed(selection.kernel);
  const jobs = jobsOf(selection, kernelFiles(), host);
  if (jobs.length === 0) throw new Error(`no test file for ${process.argv.slice(2).join(" ")}`);
  for (const job of jobs) console.log(lineOf(job));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 64;
}
