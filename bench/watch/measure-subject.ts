import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { testKubeconfig } from "../api/kubeconfig.ts";
import type { Sample } from "./probe.ts";
import type { Message, ObjectCounts } from "./subject.ts";

/** The measurements of one subject. */
export interface Outcome {
  /** Time from the begin of connecting until all objects are read. */
  readonly completeMs: number;
  /** Sample of the loaded program before it connects. */
  readonly before: Sample;
  readonly complete: Sample;
  /** Sample after ten seconds without work. */
  readonly settled: Sample;
  readonly counts: ObjectCounts;
}

/** Runs a bundled subject with these flags of Node, with the API server at this URL. */
export async function measureSubject(file: string, flags: readonly string[], url: string): Promise<Outcome> {
  const kubeconfig = `${file}.kubeconfig`;
  writeFileSync(kubeconfig, testKubeconfig(url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, file, kubeconfig]);
    const messages: readonly Message[] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const [complete, settled] = messages;
    if (complete?.kind !== "complete" || settled?.kind !== "settled")
      throw new Error(`the subject printed only ${stdout}`);
    return {
      completeMs: complete.ms,
      before: complete.before,
      complete: complete.sample,
      settled: settled.sample,
      counts: settled.counts,
    };
  } finally {
    rmSync(kubeconfig);
  }
}
