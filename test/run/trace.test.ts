import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { finished } from "../support/node/namespace.ts";
import { patient } from "../support/time/patience.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = "docs/trace.md";
/** A trace waits three times for two seconds in which the agent does nothing; it takes some 15 s. */
const LIMIT_MS = patient(90_000);

test("docs/trace.md is what npm run trace writes: run it after a change of the path of an endpoint", {
  timeout: LIMIT_MS + patient(10_000),
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "kube-ipvs-traced-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "trace.md");
  await promisify(execFile)(process.execPath, [join(ROOT, "bench/trace.ts"), file], {
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const format = await finished(["sh", "-c", `biome format --stdin-file-path=${PAGE} <"${file}"`]);
  expect(format).toMatchObject({ code: 0 });
  expect(format.out).toBe(await readFile(join(ROOT, PAGE), "utf8"));
});
