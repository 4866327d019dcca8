import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const RUN = join(import.meta.dirname, "../support/run");
let folder = "";

/** In place of run.sh, which would start a guest: prints what it was started with; the file "broken" fails. */
const STAND_IN = `
echo "on \${KUBE_IPVS_KERNEL:-its own kernel}: \${*:6}"
[ "$6" != broken ] || { echo "a reason"; exit 1; }
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kube-ipvs-pool-"));
  mkdirSync(join(folder, "test/support"), { recursive: true });
  writeFileSync(join(folder, "test/support/run.sh"), STAND_IN);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs jobs as run.sh does: what was printed, sorted, and what run.sh then has in `failed`. */
function runJobs(jobs: readonly string[], unavailable = "") {
  const script = `
    set -euo pipefail
    CACHE=${folder} ROOT=${folder} GUEST_MEMORY=1 failed=0 unavailable=" ${unavailable} "
    say() { echo ">> $*"; }
    tied() { setpriv --pdeathsig TERM "$@"; }
    . ${RUN}/uml/guest.sh
    . ${RUN}/pool/pool.sh
    printf '%s\\n' ${jobs.map((job) => `"${job}"`).join(" ")} >"$JOBS"
    run_jobs
    echo "failed=$failed"`;
  const { stdout } = spawnSync("bash", ["-c", script], { encoding: "utf8", env: { ...process.env, TEST_GUESTS: "2" } });
  return stdout.trim().split("\n");
}

test("each job runs on its kernel, and its lines stand behind its number and kernel", () => {
  const lines = runJobs(["6.1 one two", "5.10 three", "host four"]);
  expect(lines.toSorted()).toEqual([
    ">> suites on real kernels: 3 jobs, 2 side by side",
    "[1/3 6.1] on 6.1: one two",
    "[2/3 5.10] on 5.10: three",
    "[3/3 host] on its own kernel: four",
    "failed=0",
  ]);
});

test("what a failed job has printed is printed again in one piece, and the others run", () => {
  const lines = runJobs(["6.1 broken", "5.10 three", "5.10 four"]);
  expect(lines).toContain("[3/3 5.10] on 5.10: four");
  expect(lines.slice(-4)).toEqual([">> job 1/3 failed:", "on 6.1: broken", "a reason", "failed=1"]);
});

test("the jobs of a kernel that cannot be had do not run, which is a failure", () => {
  expect(runJobs(["6.1 one", "5.10 two"], "5.10")).toEqual([
    ">> suites on real kernels: 2 jobs, 2 side by side",
    "[1/2 6.1] on 6.1: one",
    "failed=1",
  ]);
});
