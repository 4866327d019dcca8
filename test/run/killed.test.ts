import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../support/time/eventually.ts";

const SCRIPT = join(import.meta.dirname, "../support/run.sh");
const JOB = ["kernel", "sh", "-c", "echo begun; sleep 600"];

/** The command in package.json. */
function byNpm(): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), "kube-ipvs-run-"));
  const script = `exec bash ${SCRIPT} kernel sh -c 'echo begun; sleep 600'`;
  writeFileSync(join(folder, "package.json"), JSON.stringify({ scripts: { test: script } }));
  return ["npm", "test", "--silent", "--prefix", folder];
}

/** The processes that have inherited this text in their environment. */
function processesWith(text: string): readonly number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => environmentOf(pid).includes(text)).map(Number);
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return ""; // it has ended, or is another user's
  }
}

async function begun(run: ChildProcess): Promise<void> {
  let text = "";
  run.stdout?.on("data", (chunk: Buffer) => (text += chunk));
  run.stderr?.on("data", (chunk: Buffer) => (text += chunk));
  await eventually(() => expect(text).toMatch(/^begun/m), { withinMs: 90_000 });
}

test.each([
  ["run.sh", "SIGKILL", () => ["bash", SCRIPT, ...JOB]],
  ["run.sh", "SIGTERM", () => ["bash", SCRIPT, ...JOB]],
  ["npm", "SIGKILL", byNpm],
] as const)("when %s gets %s, all that it has started ends, its guest too", async (_, signal, argv) => {
  const mark = `KUBE_IPVS_RUN=${randomUUID()}`;
  const [name = "", ...rest] = argv();
  const env = { ...process.env, KUBE_IPVS_RUN: mark.split("=")[1], GUEST_MEMORY: "512" };
  const run = spawn(name, rest, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  await begun(run);
  expect(processesWith(mark).length).toBeGreaterThan(1);
  run.kill(signal);
  await eventually(() => expect(processesWith(mark)).toEqual([]), { withinMs: 20_000 });
});
