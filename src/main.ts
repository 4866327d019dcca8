import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { cleanup } from "./commands/cleanup.ts";
import { doctor } from "./commands/diagnosis/doctor.ts";
import { explain } from "./commands/diagnosis/explain.ts";
import { trace } from "./commands/diagnosis/packet-trace.ts";
import { status } from "./commands/diagnosis/status.ts";
import { supportBundle } from "./commands/diagnosis/support-bundle.ts";
import { diff } from "./commands/diff.ts";
import { EXIT_FAILURE, EXIT_OK } from "./commands/exit-codes.ts";
import { init } from "./commands/init.ts";
import { plan } from "./commands/plan.ts";
import { rollback } from "./commands/rollback.ts";
import { run } from "./commands/run.ts";
import { writeConfiguration } from "./commands/write-configuration.ts";
import { type Configuration, type Invocation, readCommandLine } from "./config/cli.ts";
import type { Config } from "./config/config.ts";
import type { Command } from "./config/settings/setting.ts";
import { tuneHeap } from "./process/heap.ts";
import { endSignal, ignoreUserSignals } from "./process/signals.ts";
import { StandardOutput } from "./process/standard-output.ts";
import { systemClock } from "./process/system-clock.ts";
import { nodeProblem, version } from "./process/version.ts";

ignoreUserSignals();
tuneHeap();

/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64;
/** How long the end of the agent waits for the reader of its log. */
const LAST_LINES_MS = 1_000;

const output = new StandardOutput();

async function main(): Promise<number> {
  // Before anything that an older Node.js lacks.
  const problem = nodeProblem(process.versions.node);
  if (problem !== undefined) throw new Error(problem);
  const invocation = readInvocation();
  switch (invocation.kind) {
    case "help":
      output.out(invocation.text);
      return await whenWritten(EXIT_OK);
    case "version":
      output.out(`kube-ipvs ${version}\n`);
      return await whenWritten(EXIT_OK);
    case "refused":
      for (const problem of invocation.problems) output.err(`${problem}\n`);
      return EXIT_USAGE;
    case "command":
      return await carryOut(invocation.command, invocation);
    case "write-config":
      writeConfiguration(invocation.path, invocation.effective);
      return EXIT_OK;
  }
}

async function carryOut(command: Command, configuration: Configuration): Promise<number> {
  if (command === "run") return await runAgent(configuration);
  const { config, notice } = configuration;
  if (notice !== "") output.err(`${notice}\n`);
  return await whenWritten(await finish(command, config));
}

/** The command line with the present content of the configuration file. */
function readInvocation(): Invocation {
  return readCommandLine(process.argv.slice(2), {
    env: process.env,
    hostname: hostname(),
    readFile: (path) => readFileSync(path, "utf8"),
  });
}

/** Carries out a command that ends by itself. */
async function finish(command: Exclude<Command, "run">, config: Config): Promise<number> {
  switch (command) {
    case "init":
      return await init(config, output);
    case "plan":
      return await plan(config, output);
    case "diff":
      return await diff(config, output);
    case "explain":
      return await explain(config, output);
    case "trace":
      return await trace(config, output);
    case "doctor":
      return await doctor(config, output);
    case "status":
      return await status(config, output);
    case "support-bundle":
      return await supportBundle(config, output);
    case "rollback":
      return await rollback(config, output);
    case "cleanup":
      return await cleanup(config, output);
  }
}

/** The exit code of a command whose output is its result: failure when that could not be written. */
async function whenWritten(code: number): Promise<number> {
  const fault = await output.written();
  if (fault === undefined) return code;
  output.err(`Cannot write to standard output: ${fault}\n`);
  return EXIT_FAILURE;
}

/** To the agent its output is a log: a full disk or a reader that does not read changes nothing, nor does it hold up the end. */
async function runAgent(configuration: Configuration): Promise<number> {
  const code = await run(configuration, readInvocation, output, endSignal());
  const written = new AbortController();
  void output.written().then(() => written.abort());
  await systemClock.sleep(LAST_LINES_MS, written.signal);
  if (!written.signal.aborted) process.exit(code);
  return code;
}

try {
  process.exitCode = await main();
} catch (error) {
  output.err(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = EXIT_FAILURE;
}
