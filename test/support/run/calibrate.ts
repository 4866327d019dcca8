import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { patienceFor, type Slowness } from "../time/patience.ts";

/**
 * Prints the patience that this machine needs now, and why: `node calibrate.ts [in_guest]`. It measures on each CPU that the
 * suites will use, on all at the same time: a start of Node, and with "in_guest" a system call of a guest.
 */
const INIT = join(import.meta.dirname, "uml/calibrate.pl");
const STARTS = 8;
/** Of what takes a second and a half on a quiet machine. */
const LIMIT_MS = 60_000;

/** At most four, as run.sh has shards. */
function cpus(): readonly string[] {
  const list = /: (.*)$/m.exec(execFileSync("taskset", ["-pc", `${process.pid}`], { encoding: "utf8" }))?.[1] ?? "0";
  const all = list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
  });
  return all.slice(-Math.min(4, availableParallelism()));
}

function start(cpu: string, argv: readonly string[]): ChildProcess {
  const tied = ["--pdeathsig", "TERM", "taskset", "-c", cpu, ...argv];
  return spawn("setpriv", tied, { stdio: ["ignore", "pipe", "ignore"], timeout: LIMIT_MS });
}

async function nodeStartMs(cpu: string): Promise<number> {
  const beganMs = performance.now();
  for (let count = 0; count < STARTS; count++) {
    const child = start(cpu, [process.execPath, "-e", "0"]);
    child.stdout?.resume();
    await once(child, "close");
  }
  return (performance.now() - beganMs) / STARTS;
}

/** Undefined when no guest could be measured; the suites then show why. */
async function systemCallUs(cpu: string): Promise<number | undefined> {
  const root = ["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", `init=${INIT}`];
  const guest = start(cpu, ["linux.uml", "mem=64M", ...root, "con=null", "con0=fd:0,fd:1", "quiet"]);
  let text = "";
  guest.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await once(guest, "close");
  const found = /system call: ([\d.]+) us/.exec(text);
  return found === null ? undefined : Number(found[1]);
}

const measured = await Promise.all(
  cpus().map(async (cpu): Promise<Slowness> => {
    const systemCall = process.argv[2] === "in_guest" ? await systemCallUs(cpu) : undefined;
    return { nodeStartMs: await nodeStartMs(cpu), ...(systemCall === undefined ? {} : { systemCallUs: systemCall }) };
  }),
);
const slowest = (values: readonly number[]) => Math.max(...values).toFixed(1);
const calls = measured.flatMap(({ systemCallUs: us }) => us ?? []);
const reasons = [
  ...(calls.length === 0 ? [] : [`a system call of a guest takes ${slowest(calls)} us`]),
  `a start of Node ${slowest(measured.map(({ nodeStartMs: ms }) => ms))} ms`,
];
console.log(`${patienceFor(measured)} ${reasons.join(", ")}`);
