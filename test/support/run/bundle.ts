import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buildAgent } from "../../../build.ts";

/** On a tmpfs that each guest, or namespace of the host, has to itself. */
const FOLDER = "/run/kube-ipvs-bundle";

/** The agent as it ships, made anew for each run of the suites. */
export const BUNDLE = join(FOLDER, "kube-ipvs.mjs");

/** Called by vitest, once before the suites on a real kernel. */
export async function setup(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  await buildAgent(FOLDER);
}
