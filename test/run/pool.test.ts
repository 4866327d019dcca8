import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/time/eventually.ts";

const RUN = join(import.meta.dirname, "../support/run");
let folder = "";

/** In place of run.sh, which would start a guest: prints what it was started with; the file "broken" fails, "slow" takes 3 s, "endless" does not end. */
const STAND_IN = `
echo "on \${KUBE_IPVS_KERNEL:-its own kernel}: \${*:6}"
[ "$6" != slow ] || sleep 3
[ "$6" != endless ] || exec sleep 600
[ "$6" != broken ] || { echo "a reason"; exit 1; }
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kube-ipvs-pool-"));
  mkdirSync(join(folder, "test/support"), { recursive: true });
  writeFileSync(join(folder, "test/support/run.sh"), STAND_IN);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs jobs as run.sh does, and prints at the end what run.sh then has in `failed`. */
function scriptOf(jobs: readonly string[], unavailable = ""): string {
  return `
    set -euo pipefail
    CACHE=${folder} ROOT=${folder} GUEST_MEMORY=1 failed=0 unavailable=" ${unavailable} "
    say() { echo ">> $*"; }
    tied() { setpriv --pdeathsig TERM "$@"; }
    . ${RUN}/uml/guest.sh
    . ${RUN}/pool/pool.sh
    printf '%s\\n' ${jobs.map((job) => `"${job}"`).join(" ")} >"$JOBS"
    run_jobs
    echo "failed=$failed"`;
}

const { TEST_MINUTES: _, ...OUTER } = process.env;
const ENV = { ...OUTER, TEST_GUESTS: "2" };

function runJobs(jobs: readonly string[], unavailable = "", minutes?: string): readonly string[] {
  const env = minutes === undefined ? ENV : { ...ENV, TEST_MINUTES: minutes };
  const { stdout } = spawnSync("bash", ["-c", scriptOf(jobs, unavailable)], { encoding: "utf8", env });
  return stdout.trim().split("\n");
}

test("each job runs on its kernel, and its lines stand behind its number and kernel", () => {
  const lines = runJobs(["6.1 9 one two", "5.10 9 three", "host 9 four"]);
  expect(lines.toSorted()).toEqual([
    ">> suites on real kernels: 3 jobs, 2 side by side",
    "[1/3 6.1] on 6.1: one two",
    "[2/3 5.10] on 5.10: three",
    "[3/3 host] on its own kernel: four",
    "failed=0",
  ]);
});

test("what a failed job has printed is printed again in one piece, and the others run", () => {
  const lines = runJobs(["6.1 9 broken", "5.10 9 three", "5.10 9 four"]);
  expect(lines).toContain("[3/3 5.10] on 5.10: four");
  expect(lines.slice(-4)).toEqual([">> job 1/3 failed:", "on 6.1: broken", "a reason", "failed=1"]);
});

test("the jobs of a kernel that cannot be had do not run, which is a failure", () => {
  expect(runJobs(["6.1 9 one", "5.10 9 two"], "5.10")).toEqual([
    ">> suites on real kernels: 2 jobs, 2 side by side",
    "[1/2 6.1] on 6.1: one",
    "failed=1",
  ]);
});

test("a job that would end after TEST_MINUTES is left out by name, and those that have time run", () => {
  const lines = runJobs(["6.1 9 one", "5.10 9999 two three", "7.2 9 four"], "", "10");
  expect(lines.toSorted()).toEqual([
    ">> job 2/3 is left out: 10 minutes do not suffice for two three on kernel 5.10",
    ">> suites on real kernels: 3 jobs, 2 side by side",
    "[1/3 6.1] on 6.1: one",
    "[3/3 7.2] on 7.2: four",
    "failed=0",
  ]);
  expect(readFileSync(join(folder, "left-out.txt"), "utf8")).toBe("2\n");
});

test("a machine that needs longer for a job than a quiet one is given fewer of them", () => {
  const lines = runJobs(["6.1 0 slow", "6.1 0 slow", "5.10 30 three"], "", "1");
  expect(lines).toContain(">> job 3/3 is left out: 1 minutes do not suffice for three on kernel 5.10");
});

test("the jobs end with the process that runs them, also when it gets SIGKILL", async () => {
  const run = spawn("bash", ["-c", scriptOf(["6.1 9 endless"])], { env: ENV, stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  run.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await eventually(() => expect(text).toContain("on 6.1: endless"), { withinMs: 60_000 });
  run.kill("SIGKILL");
  // The job holds the pipe open for as long as it runs.
  await once(run.stdout, "close");
});
