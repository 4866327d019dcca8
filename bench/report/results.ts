import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Calibration } from "../cli/calibration.ts";
import type { Facts } from "../cli/machine.ts";
import type { Failure, Figure } from "./figure.ts";

/** All of a run. */
export interface Results {
  readonly machine: Facts;
  /** The kernels in which was measured; with several sizes they differ only in the time of a system call. */
  readonly guests: readonly Facts[];
  readonly options: { readonly command: string; readonly rounds: number; readonly seconds: number };
  readonly calibration: { readonly before: Calibration; readonly after: Calibration | undefined };
  /** Why the figures are not reliable; empty if the machine was quiet. */
  readonly noise: readonly string[];
  /** Whether all steps were done. */
  readonly isComplete: boolean;
  readonly figures: readonly Figure[];
  readonly failures: readonly Failure[];
}

export const RESULTS_FILE = "results.json";

/** Reads the results of a run: its folder, or the file. Throws with a text for people if there are none. */
export function readResults(path: string): Results {
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, RESULTS_FILE) : path;
  if (!existsSync(file)) throw new Error(`"${path}" has no results: ${RESULTS_FILE} is missing`);
  const results: Results = JSON.parse(readFileSync(file, "utf8"));
  if (!Array.isArray(results.figures)) throw new Error(`"${file}" has no figures`);
  return results;
}
