/**
 * Runs the steps of one size, each in a network namespace of its own, on the kernel of this process: `node run-steps.ts FILE
 * STEP...`, where FILE has the steps as JSON and STEP are their numbers. Prints the events of all steps.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NODE_FLAGS } from "../../build.ts";
import { guestFacts } from "../cli/machine.ts";
import type { Step } from "../cli/plan.ts";
import { send } from "../scenarios/stage.ts";

/** Lines of the error output of a step that are kept for its report. */
const TAIL_LINES = 4;

const [file = "", ...numbers] = process.argv.slice(2);
// The parent has written the file.
const steps: readonly Step[] = JSON.parse(readFileSync(file, "utf8"));

async function run({ program, args, nodeFlags, isWithoutKernel, ...step }: Step): Promise<void> {
  const flags = nodeFlags === "agent" ? ["--expose-gc", ...NODE_FLAGS] : [];
  const command = [process.execPath, ...flags, join(import.meta.dirname, `${program}.ts`), ...args];
  const inNamespace = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', ...command];
  const [first = "", ...words] = isWithoutKernel ? command : inNamespace;
  const child = spawn(first, words, { stdio: ["ignore", "pipe", "pipe"] });
  let tail = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    tail = `${tail}${text}`.slice(-2000);
  });
  // Events pass unchanged.
  for await (const line of createInterface({ input: child.stdout })) process.stdout.write(`${line}\n`);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  if (child.exitCode === 0) return;
  const lines = tail.trimEnd().split("\n");
  const error = lines.find((line) => /Error: /.test(line)) ?? lines.slice(-TAIL_LINES).join(" | ");
  const { subject, size, scenario } = step;
  send({ kind: "failed", subject, size, scenario, reason: `${child.signalCode ?? child.exitCode}: ${error.trim()}` });
}

/** Where the recording of a step goes. */
function makeFolders(): void {
  for (const step of steps) {
    const [, , folder] = step.args;
    if (step.program === "sync-stage" && folder !== undefined) mkdirSync(folder, { recursive: true });
  }
}

makeFolders();
send({ kind: "guest", facts: guestFacts() });
for (const number of numbers.map(Number)) {
  const step = steps[number];
  if (step === undefined) throw new Error(`there is no step ${number}`);
  send({ kind: "begin", step: number });
  await run(step);
  send({ kind: "end", step: number });
}
