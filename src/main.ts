import { hostname } from "node:os";
import { readCommandLine } from "./cli.ts";
import { cleanup, diff, EXIT_FAILURE, EXIT_OK, init, type Output, plan, run } from "./commands.ts";
import type { Config } from "./config.ts";
import { tuneHeap } from "./heap.ts";
import type { Command } from "./settings.ts";
import { version } from "./version.ts";

tuneHeap();

/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64;

const output: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

async function main(): Promise<number> {
  const invocation = readCommandLine(process.argv.slice(2), process.env, hostname());
  switch (invocation.kind) {
    case "help":
      output.out(invocation.text);
      return EXIT_OK;
    case "version":
      output.out(`kube-ipvs ${version}\n`);
      return EXIT_OK;
    case "refused":
      for (const problem of invocation.problems) output.err(`${problem}\n`);
      return EXIT_USAGE;
    case "command":
      return await carryOut(invocation.command, invocation.config);
  }
}

function carryOut(command: Command, config: Config): Promise<number> {
  switch (command) {
    case "run":
      return run(config, output, signalOfProcess());
    case "init":
      return init(config, output);
    case "plan":
      return plan(config, output);
    case "diff":
      return diff(config, output);
    case "cleanup":
      return cleanup(config, output);
  }
}

/** Aborts at the first SIGTERM or SIGINT; a second one ends the process as if nobody listened. */
function signalOfProcess(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => controller.abort());
  return controller.signal;
}

// Whoever read our output may be gone (`kube-ipvs plan | head`, a log pipe): no reason to stop serving.
process.stdout.on("error", () => {});

try {
  process.exitCode = await main();
} catch (error) {
  output.err(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = EXIT_FAILURE;
}
