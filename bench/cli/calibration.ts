import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { median, percentile } from "../report/statistics.ts";

/** What the machine did, and how fast it was, when nothing of this program ran. */
export interface Calibration {
  /** The same computation, repeated: ms. */
  readonly loopMs: readonly number[];
  /** Starts of Node: ms. */
  readonly nodeStartMs: readonly number[];
  /** CPUs that other programs kept busy while this one slept: 0.1 is a tenth of one CPU. */
  readonly busyCpus: number;
}

const LOOPS = 40;
const LOOP_STEPS = 4_000_000;
const STARTS = 8;
const SLEEP_MS = 2_000;

/** Measures this machine, for about four seconds. */
export async function calibrate(): Promise<Calibration> {
  const loopMs = Array.from({ length: LOOPS + 5 }, () => timed(spin)).slice(5);
  const nodeStartMs = Array.from({ length: STARTS }, () => timed(() => spawnSync(process.execPath, ["-e", "0"])));
  const before = busyMs();
  const startMs = performance.now();
  await sleep(SLEEP_MS);
  const busyCpus = (busyMs() - before) / (performance.now() - startMs);
  return { loopMs, nodeStartMs, busyCpus };
}

function timed(work: () => unknown): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

function spin(): number {
  let value = 1;
  for (let step = 0; step < LOOP_STEPS; step++) value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0;
  return value;
}

/** CPU time of all programs of this machine, with what the hypervisor gave to others, in ms of /proc/stat (100 ticks a second). */
function busyMs(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    readFileSync("/proc/stat", "utf8").split("\n")[0]?.split(/\s+/).slice(1).map(Number) ?? [];
  return (user + nice + system + irq + softirq + steal) * 10;
}

const MOST_BUSY_CPUS = 0.15;
/** p90 of the same computation to its least. */
const MOST_LOOP_SPREAD = 1.25;
/** Medians before and after the run. */
const MOST_DRIFT = 1.15;

/** Why figures of a run are not reliable; empty if the machine was quiet. */
export function noiseOf(before: Calibration, after?: Calibration): readonly string[] {
  const named = [["before", before] as const, ...(after === undefined ? [] : [["after", after] as const])];
  const each = named.flatMap(([when, { loopMs, busyCpus }]) => {
    const spread = percentile(loopMs, 0.9) / Math.min(...loopMs);
    return [
      ...(busyCpus > MOST_BUSY_CPUS ? [`other programs kept ${busyCpus.toFixed(2)} CPUs busy ${when} the run`] : []),
      ...(spread > MOST_LOOP_SPREAD
        ? [`the same computation took up to ${spread.toFixed(2)} times its least time ${when} the run`]
        : []),
    ];
  });
  if (after === undefined) return each;
  const drift = median(after.loopMs) / median(before.loopMs);
  const hasDrifted = drift > MOST_DRIFT || drift < 1 / MOST_DRIFT;
  return [
    ...each,
    ...(hasDrifted ? [`the machine was ${drift.toFixed(2)} times as slow after the run as before`] : []),
  ];
}

/** One line about the machine, for people. */
export function calibrationText({ loopMs, nodeStartMs, busyCpus }: Calibration): string {
  return `computation ${median(loopMs).toFixed(2)} ms, a start of Node ${median(nodeStartMs).toFixed(0)} ms, other programs ${busyCpus.toFixed(2)} of ${cpus().length} CPUs`;
}
