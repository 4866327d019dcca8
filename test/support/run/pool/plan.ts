import { globSync } from "node:fs";
import { basename } from "node:path";
import { KERNELS, type TestKernel } from "../kernels.ts";
import { secondsOf } from "./seconds.ts";
import { evenShards } from "./shards.ts";

/** Test files that one guest runs on one kernel. */
export interface Job {
  readonly kernel: string;
  /** What it takes on a quiet machine. */
  readonly seconds: number;
  readonly files: readonly string[];
}

/** What the kernel of the host is called where a kernel is named. */
const HOST = "host";

/** What a run is limited to. `all` and `kernel` add what `npm test` leaves out. */
export interface Selection {
  readonly all?: boolean;
  readonly kernel?: string;
  readonly suite?: string;
}

/**
 * Seconds of one job on a quiet machine. A guest costs some ten seconds before its first test, so jobs are not short, and the
 * last one to end holds the run up, so they are not long.
 */
const JOB_SECONDS = 170;

/** All files of the suites on a real kernel. */
export function kernelFiles(): readonly string[] {
  return globSync(["test/kernel/*.real.test.ts", "test/e2e/**/*.test.ts"]).toSorted();
}

/** The files that a kernel runs in this run. */
export function filesOf(kernel: TestKernel, selection: Selection, files: readonly string[]): readonly string[] {
  const { all = false, kernel: name, suite } = selection;
  if (name !== undefined && name !== kernel.name) return [];
  const paths = all || name !== undefined ? [...kernel.always, ...(kernel.rest ?? [])] : kernel.always;
  return files.filter(
    (file) => paths.some((path) => isIn(file, path)) && (suite === undefined || isSuite(file, suite)),
  );
}

function isIn(file: string, path: string): boolean {
  return file === path || file.startsWith(`${path}/`);
}

/** `suite` is a folder of `test/` or of `test/e2e`, or the name of a file without `.test.ts`. */
function isSuite(file: string, suite: string): boolean {
  return file.split("/").slice(0, -1).includes(suite) || basename(file, ".test.ts") === suite;
}

/**
 * The jobs of a run: those of the first kernel before those of the others, as a run whose time is limited leaves out the last;
 * of either the longest first, so that the last ones to begin are short. The host's own kernel, in place of the first one, gets
 * a single job: suites load modules and see which are loaded.
 */
export function jobsOf(selection: Selection, files: readonly string[], hostKernel: boolean): readonly Job[] {
  const [first, ...others] = KERNELS.map((kernel) => {
    const isHost = hostKernel && kernel === KERNELS[0];
    const own = filesOf(kernel, selection, files);
    const seconds = (file: string) => secondsOf(file) * (kernel.slowness ?? 1);
    const sum = (of: readonly string[]) => of.reduce((total, file) => total + seconds(file), 0);
    const count = isHost ? Math.min(1, own.length) : Math.ceil(sum(own) / JOB_SECONDS);
    return evenShards(own, count, seconds).map(
      (shard): Job => ({ kernel: isHost ? HOST : kernel.name, seconds: sum(shard), files: shard }),
    );
  });
  return [first ?? [], others.flat()].flatMap((jobs) => jobs.toSorted((a, b) => b.seconds - a.seconds));
}

/** A job on a line, as run.sh reads it. */
export function lineOf({ kernel, seconds, files }: Job): string {
  return [kernel, seconds, ...files].join(" ");
}

export function jobOf(line: string): Job {
  const [kernel = "", seconds = "0", ...files] = line.split(" ");
  return { kernel, seconds: Number(seconds), files };
}
