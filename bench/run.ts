/**
 * `npm run bench`: measures the time for programming a real IPVS kernel, each cluster size in a network namespace and
 * process of its own. The floor is the time for replaying the same netlink bytes with a minimal sender in another fresh
 * namespace. It prints a table and writes it, with the figures as JSON, to bench/results/.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { NODE_FLAGS } from "../build.ts";
import { type Distribution, distribution, short } from "./statistics.ts";

const SIZES = (process.argv[2] ?? "100,1000,10000").split(",").map(Number);
const ENDPOINTS = 10;
/** The rounds of the agent and of the floor alternate, because machines are noisy. */
const ROUNDS = 3;

interface Cost {
  readonly ms: number;
  readonly operations: number;
  readonly refused: number;
  readonly sends: number;
  readonly messages: number;
}
interface Result {
  readonly services: number;
  readonly endpoints: number;
  readonly cold: Cost;
  readonly warm: Cost;
  readonly change: { ms: Distribution; operations: Distribution; sends: Distribution; refused: number };
  readonly rssMiB: number;
  readonly peakRssMiB: number;
  readonly floor: { coldMs: number; coldErrors: number; changeMs: Distribution };
}

function inFreshNamespace(command: string, ...args: readonly string[]): string {
  const script = 'ip link set lo up && exec "$0" "$@"';
  return execFileSync("unshare", ["-n", "sh", "-c", script, command, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

interface Replayed {
  readonly ms: number;
  readonly errors: number;
  readonly micros: readonly number[];
  readonly records: number;
}

/** Replays the recorded datagrams in a fresh namespace. */
function replay(folder: string): { readonly cold: Replayed; readonly change: Replayed } {
  const files = ["setup.bin", "cold.bin", "change.bin"].map((name) => join(folder, name));
  const [, cold, change] = inFreshNamespace("perl", join(import.meta.dirname, "replay.pl"), ...files)
    .trimEnd()
    .split("\n")
    .map((line): Replayed => JSON.parse(line));
  if (cold === undefined || change === undefined) throw new Error("replay.pl printed no result for one of the files");
  return { cold, change };
}

/** Returns the median item by a number of each item. */
function middle<Item>(items: readonly Item[], by: (item: Item) => number): Item {
  const item = items.toSorted((a, b) => by(a) - by(b))[items.length >> 1];
  if (item === undefined) throw new Error("there are no measurements");
  return item;
}

function measure(services: number): Result {
  const folder = mkdtempSync(join(tmpdir(), "kube-ipvs-bench-"));
  try {
    const program = join(import.meta.dirname, "real-kernel.ts");
    const options = ["--expose-gc", ...NODE_FLAGS];
    const command = [...options, program, `${services}`, `${ENDPOINTS}`];
    // The recording has a run of its own, because writing the files takes time.
    inFreshNamespace(process.execPath, ...command, folder);
    const rounds = Array.from({ length: ROUNDS }, () => ({
      ours: JSON.parse(lastLine(inFreshNamespace(process.execPath, ...command))) as Omit<Result, "floor">,
      floor: replay(folder),
    }));
    const ours = middle(
      rounds.map((round) => round.ours),
      ({ cold }) => cold.ms,
    );
    const floor = middle(
      rounds.map((round) => round.floor),
      ({ cold }) => cold.ms,
    );
    const perChange = floor.change.records / ours.change.ms.count;
    return {
      ...ours,
      floor: {
        coldMs: floor.cold.ms,
        coldErrors: floor.cold.errors,
        changeMs: distribution(grouped(floor.change.micros, perChange).map((micros) => micros / 1000)),
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns the sums of `size` consecutive values each: one sum for the datagrams of one change. */
function grouped(values: readonly number[], size: number): readonly number[] {
  if (!Number.isInteger(size)) throw new Error(`changes need different numbers of datagrams: ${size} on average`);
  return Array.from({ length: values.length / size }, (_, index) =>
    values.slice(index * size, (index + 1) * size).reduce((sum, value) => sum + value, 0),
  );
}

const HEAD = [
  "Services x endpoints",
  "cold start",
  "floor",
  "ratio",
  "objects/send",
  "warm restart",
  "writes at restart",
  "one change p50 / p99",
  "floor p50",
  "operations per change",
  "RSS now / peak",
];

function row({ services, endpoints, cold, warm, change, floor, rssMiB, peakRssMiB }: Result): readonly string[] {
  return [
    `${services} x ${endpoints}`,
    `${short(cold.ms)} ms`,
    `${short(floor.coldMs)} ms`,
    `${short(cold.ms / floor.coldMs)}`,
    `${short(cold.operations / cold.sends)}`,
    `${short(warm.ms)} ms`,
    `${warm.operations}`,
    `${short(change.ms.p50)} / ${short(change.ms.p99)} ms`,
    `${short(floor.changeMs.p50)} ms`,
    `${change.operations.p50} (max ${change.operations.max})`,
    `${Math.round(rssMiB)} / ${Math.round(peakRssMiB)} MiB`,
  ];
}

function table(rows: readonly (readonly string[])[]): string {
  return [HEAD, HEAD.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const results = SIZES.map((size) => {
  process.stderr.write(`measuring ${size} Services x ${ENDPOINTS} endpoints\n`);
  return measure(size);
});
const machine = {
  date: new Date().toISOString().slice(0, 10),
  kernel: release(),
  isUserModeLinux: readFileSync("/proc/cpuinfo", "utf8").includes("User Mode Linux"),
  cpu: cpus()[0]?.model ?? "unknown",
  node: process.version,
};
const where = machine.isUserModeLinux ? `User Mode Linux ${machine.kernel}` : `Linux ${machine.kernel}`;
const text = `Measured ${machine.date} by \`npm run bench\` on ${where}, Node ${machine.node}.\n\n${table(results.map(row))}\n`;
mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
writeFileSync(join(import.meta.dirname, "results", "real-kernel.md"), text);
writeFileSync(
  join(import.meta.dirname, "results", "real-kernel.json"),
  `${JSON.stringify({ machine, results }, null, 2)}\n`,
);
process.stdout.write(text);
