import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const SUPPORT = join(import.meta.dirname, "../support");

test("a kernel that cannot be fetched fails with a reason and leaves nothing that looks like one", () => {
  const folder = mkdtempSync(join(tmpdir(), "kube-ipvs-kernel-"));
  const script = join(SUPPORT, "run/uml/uml-kernel.sh");
  const { status, stderr } = spawnSync("bash", [script, "no-such-suite", join(folder, "uml")], { encoding: "utf8" });
  expect(status).not.toBe(0);
  expect(stderr).toContain("no-such-suite");
  expect(existsSync(join(folder, "uml"))).toBe(false);
  rmSync(folder, { recursive: true });
});

test("a kernel of an unknown name fails the run, which names those there are", () => {
  const env = { ...process.env, KUBE_IPVS_KERNEL: "9.9", PATIENCE: "1" };
  const { status, stderr } = spawnSync("bash", [join(SUPPORT, "run.sh"), "kernel", "true"], { env, encoding: "utf8" });
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/kernel: "9\.9" is none of 6\.1, .*\n>> kernel 9\.9 cannot be had/);
});
