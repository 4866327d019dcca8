import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { testKubeconfig } from "../api/kubeconfig.ts";
import type { Sample } from "./probe.ts";
import type { Held, Told } from "./subject.ts";

/** How one subject fared. */
export interface Outcome {
  /** From the begin of its connecting to its knowing all. */
  readonly completeMs: number;
  /** Loaded, and not yet connected. */
  readonly before: Sample;
  readonly complete: Sample;
  /** After ten seconds of rest. */
  readonly settled: Sample;
  readonly held: Held;
}

/** Runs a bundled subject with these flags of Node before the API server of this URL. */
export async function measureSubject(file: string, flags: readonly string[], url: string): Promise<Outcome> {
  const kubeconfig = `${file}.kubeconfig`;
  writeFileSync(kubeconfig, testKubeconfig(url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, file, kubeconfig]);
    const told: readonly Told[] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const [complete, settled] = told;
    if (complete?.kind !== "complete" || settled?.kind !== "settled") throw new Error(`it told only ${stdout}`);
    return {
      completeMs: complete.ms,
      before: complete.before,
      complete: complete.sample,
      settled: settled.sample,
      held: settled.held,
    };
  } finally {
    rmSync(kubeconfig);
  }
}
