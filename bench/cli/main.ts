/** `npm run bench`: `node bench/cli/main.ts --help` */
import { execFileSync } from "node:child_process";
import { compare, comparisonText } from "../report/compare.ts";
import { publish } from "../report/publish.ts";
import { readResults } from "../report/results.ts";
import { readArguments } from "./arguments.ts";
import { HELP } from "./help.ts";
import { runPart } from "./parts.ts";
import { runCommand } from "./run-command.ts";

/** The exit code EX_USAGE of sysexits.h. */
const USAGE = 64;

async function main(): Promise<number> {
  const invocation = readArguments(process.argv.slice(2));
  switch (invocation.command) {
    case "help":
      process.stdout.write(HELP);
      return 0;
    case "invalid":
      process.stderr.write(`bench: ${invocation.message}\nnpm run bench -- --help\n`);
      return USAGE;
    case "run":
      return runCommand(invocation);
    case "publish":
      process.stdout.write(publish(invocation.folder, invocation.acceptsNoise));
      // Tables are aligned, as in all documents.
      execFileSync("biome", ["format", "--write", "README.md", "bench/README.md"], { stdio: "ignore" });
      return 0;
    case "compare": {
      const comparisons = compare(readResults(invocation.old).figures, readResults(invocation.fresh).figures);
      process.stdout.write(comparisonText(comparisons));
      return comparisons.some(({ verdict }) => verdict === "worse") ? 1 : 0;
    }
    case "part":
      return runPart(invocation);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
