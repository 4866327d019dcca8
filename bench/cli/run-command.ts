import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { buildAgent } from "../../build.ts";
import { type BenchEvent, type Failure, figuresOf } from "../report/figure.ts";
import { writeReport } from "../report/report.ts";
import type { Results } from "../report/results.ts";
import { parseSize, type Size, sizeTitle } from "../report/size.ts";
import type { RunOptions, Scenario } from "./arguments.ts";
import { type Calibration, calibrate, calibrationText, noiseOf } from "./calibration.ts";
import { type Facts, machineFacts } from "./machine.ts";
import { planOf, type SizePlan, type Step } from "./plan.ts";
import { Progress } from "./progress.ts";

const ROOT = join(import.meta.dirname, "../..");
/** The sizes of all scenarios; the usual ones come first, so that a run that is ended early has them. */
const FULL = ["10000x10", "1000x10", "50000x10", "100x10", "5000x10"];
/** Clusters of other shapes, of which only what depends on the shape is measured. */
const SHAPES = ["5000x50", "45000x1", "1x10x1000", "1x10000"];
const SCENARIOS_OF_SHAPES: readonly Scenario[] = ["sync", "cold", "idle", "change"];
const QUICK = ["100x10", "1000x10"];
/** The exit code EX_TEMPFAIL of sysexits.h. */
const NOISY = 75;
/** For a large cluster: the API server, the observer and the proxies. */
const LARGE_GUEST_MB = 4096;
const LARGE_FROM_ENDPOINTS = 200_000;
/** The limit of a guest, as a multiple of the time that its steps should take. */
const PATIENCE = 20;
/** QEMU emulates the CPU where there is no KVM. */
const QEMU_SLOWNESS = 5;

const say = (text: string) => process.stderr.write(`${text}\n`);

/** The steps of a run; sizes that the command line names have all scenarios. */
function plansOf(options: RunOptions, folder: string): readonly SizePlan[] {
  const { sizes, isQuick, scenarios } = options;
  const plan = (list: readonly Size[], some: readonly Scenario[]) =>
    planOf({ ...options, sizes: list, scenarios: some, folder });
  const usual = plan(sizes ?? parsed(isQuick ? QUICK : FULL), scenarios);
  if (sizes !== undefined || isQuick) return usual;
  return [
    ...usual,
    ...plan(
      parsed(SHAPES),
      scenarios.filter((scenario) => SCENARIOS_OF_SHAPES.includes(scenario)),
    ),
  ];
}

function parsed(texts: readonly string[]): readonly Size[] {
  return texts.flatMap((text) => parseSize(text) ?? []);
}

/** What was collected until now. */
class Collected {
  readonly samples: (BenchEvent & { kind: "samples" })[] = [];
  readonly failures: Failure[] = [];
  readonly guests: Facts[] = [];
}

/** Measures into a new folder. Returns the exit code. */
export async function runCommand(options: RunOptions): Promise<number> {
  const folder = options.folder ?? join(ROOT, ".cache/bench", stamp(new Date(), options.isQuick));
  if (existsSync(join(folder, "results.json"))) throw new Error(`"${folder}" has results already`);
  mkdirSync(join(folder, "logs"), { recursive: true });
  const shown = relative(process.cwd(), folder) || ".";
  say(`>> results go to ${shown}`);
  const before = await calibrate();
  say(`>> machine: ${calibrationText(before)}`);
  const noise = noiseOf(before);
  if (noise.length > 0) {
    say(`>> THE MACHINE IS NOISY: ${noise.join("; ")}`);
    if (!options.acceptsNoise) {
      say(">> nothing is measured; wait until it is quiet, or accept it with --noisy");
      return NOISY;
    }
  }
  mkdirSync(join(folder, "agent"), { recursive: true });
  await buildAgent(join(folder, "agent"));
  const plans = plansOf(options, folder);
  const steps = plans.flatMap((plan) => plan.steps);
  const progress = new Progress(
    steps.map(({ seconds }) => seconds),
    () => performance.now(),
  );
  const collected = new Collected();
  const command = commandText(process.argv.slice(2));
  const write = (after: Calibration | undefined) => {
    const results = resultsOf(collected, {
      before,
      after,
      options,
      command,
      isComplete: progress.done === steps.length,
    });
    writeReport(folder, results);
    return results;
  };
  let first = 0;
  for (const plan of plans) {
    await runPlan(plan, first, { folder, options, progress, collected });
    first += plan.steps.length;
    write(undefined);
  }
  rmSync(join(folder, "agent"), { recursive: true, force: true });
  const after = await calibrate();
  say(`>> machine: ${calibrationText(after)}`);
  const results = write(after);
  for (const line of results.noise) say(`>> THE MACHINE WAS NOISY: ${line}`);
  for (const { size, subject, scenario, reason } of results.failures)
    say(`>> not measured: ${size}, ${subject}, ${scenario}: ${reason}`);
  say(`>> ${results.figures.length} figures: ${join(shown, "results.md")}`);
  say(`>> to publish them: npm run bench -- publish ${shown}`);
  return results.failures.length > 0 || !results.isComplete ? 1 : 0;
}

interface Session {
  readonly folder: string;
  readonly options: RunOptions;
  readonly progress: Progress;
  readonly collected: Collected;
}

/** Runs the steps of one size in one kernel. */
async function runPlan(plan: SizePlan, first: number, session: Session): Promise<void> {
  const { folder, options, progress, collected } = session;
  const file = join(folder, `steps-${first}.json`);
  writeFileSync(file, JSON.stringify(plan.steps));
  const isWithoutKernel = plan.steps.every((step) => step.isWithoutKernel);
  const program = [join(ROOT, "bench/stages/run-steps.ts"), file, ...plan.steps.map((_, place) => `${place}`)];
  const argv = isWithoutKernel
    ? [process.execPath, ...program]
    : ["bash", join(ROOT, "test/support/run.sh"), "kernel", "node", ...program];
  // It ends with this process.
  const child = spawn("setpriv", ["--pdeathsig", "TERM", ...argv], {
    env: kernelEnvironment(plan, options),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let doneSteps = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const event = eventOf(line);
    appendFileSync(join(folder, event === undefined ? "logs/console.log" : "events.jsonl"), `${line}\n`);
    if (event === undefined) continue;
    if (event.kind === "begin") say(`>> ${progress.begin(first + event.step)}: ${plan.steps[event.step]?.title ?? ""}`);
    if (event.kind === "end") {
      progress.end(first + event.step);
      doneSteps++;
    }
    collect(event, collected);
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  rmSync(file);
  for (const name of readdirSync(folder))
    if (name.startsWith("state-")) rmSync(join(folder, name), { recursive: true });
  const [missing] = plan.steps.slice(doneSteps);
  const { kernel: measured = "" } = collected.guests.at(-1) ?? {};
  if (options.kernel === "host" && `${measured}`.startsWith("User Mode Linux"))
    throw new Error("--kernel host: this machine has no IPVS, or you are not root");
  if (missing !== undefined) collected.failures.push(unfinished(missing, sizeTitle(plan.size)));
}

function unfinished({ subject, size, scenario }: Step, title: string): Failure {
  return { subject, size, scenario, reason: `the kernel of ${title} ended before all steps were done` };
}

function collect(event: BenchEvent, { samples, failures, guests }: Collected): void {
  if (event.kind === "samples") samples.push(event);
  else if (event.kind === "guest") guests.push(event.facts);
  else if (event.kind === "progress") say(`     ${event.text}`);
  else if (event.kind === "failed") {
    const { kind, ...failure } = event;
    failures.push(failure);
    say(`     not measured: ${failure.reason}`);
  }
}

/** Undefined if the line is no event: the kernel prints lines too. */
function eventOf(line: string): BenchEvent | undefined {
  if (!line.startsWith('{"kind":')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function kernelEnvironment({ steps, size }: SizePlan, { kernel }: RunOptions): NodeJS.ProcessEnv {
  const slowness = kernel?.startsWith("qemu") ? QEMU_SLOWNESS : 1;
  const seconds = (steps.reduce((sum, step) => sum + step.seconds, 0) * PATIENCE + 300) * slowness;
  const isLarge = size.services * size.endpoints * size.ports >= LARGE_FROM_ENDPOINTS;
  const { KUBE_IPVS_KERNEL, KUBE_IPVS_GUEST, ...rest } = process.env;
  const { GUEST_SECONDS = `${Math.round(seconds)}`, GUEST_MEMORY = `${LARGE_GUEST_MB}` } = rest;
  return {
    ...rest,
    PATIENCE: "1",
    GUEST_SECONDS,
    ...(isLarge ? { GUEST_MEMORY } : {}),
    ...(kernel === undefined ? { KUBE_IPVS_GUEST: "1" } : {}),
    ...(kernel === undefined || kernel === "host" ? {} : { KUBE_IPVS_KERNEL: kernel }),
  };
}

interface ResultParts {
  readonly before: Calibration;
  readonly after: Calibration | undefined;
  readonly options: RunOptions;
  readonly command: string;
  readonly isComplete: boolean;
}

function resultsOf(collected: Collected, { before, after, options, command, isComplete }: ResultParts): Results {
  return {
    machine: machineFacts(),
    guests: collected.guests,
    options: { command, rounds: options.rounds, seconds: options.seconds },
    calibration: { before, after },
    noise: noiseOf(before, after),
    isComplete,
    figures: figuresOf(collected.samples),
    failures: collected.failures,
  };
}

/** The command line for the results: without the folder of the run, and programs without their folders. */
export function commandText(argv: readonly string[]): string {
  const words = argv.filter((word, place) => !word.startsWith("--out") && argv[place - 1] !== "--out");
  const shown = words
    .map((word) => word.replaceAll(/[^\s=]*\//g, ""))
    .map((word) => (/\s/.test(word) ? `'${word}'` : word));
  return ["npm run bench", ...(shown.length === 0 ? [] : ["--", ...shown])].join(" ");
}

/** "2026-11-30-2205", with "-quick" for a quick run. */
function stamp(date: Date, isQuick: boolean): string {
  const text = date.toISOString();
  return `${text.slice(0, 10)}-${text.slice(11, 19).replaceAll(":", "")}${isQuick ? "-quick" : ""}`;
}
