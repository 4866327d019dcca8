import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Sysctl } from "../../../src/kernel/kernel.ts";
import { SysctlClient, SysctlError } from "../../../src/kernel/sysctl.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sysctl-"));
});
afterEach(() => rm(root, { recursive: true }));

const put = async (path: string, value: string) => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), `${value}\n`);
};
const get = async (path: string) => (await readFile(join(root, path), "utf8")).trim();
const sysctl = (path: string, value: string, options: Partial<Sysctl> = {}): Sysctl => ({
  path,
  value,
  compare: "equal",
  required: true,
  ...options,
});

test.each([
  ["equal", "0", "1", "1"],
  ["equal", "2", "1", "1"],
  ["atLeast", "9", "10", "10"],
] as const)("%s: %s becomes %s", async (compare, before, value, after) => {
  await put("net/a", before);
  const report = await new SysctlClient(root).apply([sysctl("net/a", value, { compare })]);
  expect(report).toEqual({ changed: [`set net/a from ${before} to ${value}`], warnings: [] });
  expect(await get("net/a")).toBe(after);
});

test.each([
  ["equal", "1", "1"],
  ["atLeast", "10", "9"],
  ["atLeast", "10", "10"],
] as const)("%s: %s is left alone when %s is wanted", async (compare, before, value) => {
  await put("net/a", before);
  const { mtimeMs } = await stat(join(root, "net/a"));
  expect(await new SysctlClient(root).apply([sysctl("net/a", value, { compare })])).toEqual({
    changed: [],
    warnings: [],
  });
  expect(await get("net/a")).toBe(before);
  expect((await stat(join(root, "net/a"))).mtimeMs).toBe(mtimeMs);
});

test("a setting that this kernel does not have is a warning, and is not made up", async () => {
  const report = await new SysctlClient(root).apply([sysctl("absent", "1", { required: false })]);
  expect(report.changed).toEqual([]);
  expect(report.warnings).toEqual([expect.stringMatching(/^Cannot set absent to 1: ENOENT/)]);
  expect(await readdir(root)).toEqual([]);
});

test("what a flag has asked for is refused with its name", async () => {
  const asked = sysctl("absent", "60", { required: false, flag: "conntrack-udp-timeout" });
  const { warnings } = await new SysctlClient(root).apply([asked]);
  expect(warnings).toEqual([expect.stringMatching(/^Cannot set absent to 60 for --conntrack-udp-timeout: ENOENT/)]);
});

test("a required setting that cannot be had rejects and names it, after the others were set", async () => {
  await put("net/b", "0");
  const wanted = [sysctl("absent", "1"), sysctl("net/b", "1"), sysctl("gone", "1")];
  const rejection = expect(new SysctlClient(root).apply(wanted)).rejects;
  await rejection.toThrow(SysctlError);
  await expect(new SysctlClient(root).apply(wanted)).rejects.toThrow(
    /Cannot set absent to 1: .*; Cannot set gone to 1: /,
  );
  expect(await get("net/b")).toBe("1");
});

test("a kernel that takes a value and keeps its own is found out", async () => {
  // Takes everything, holds nothing.
  await symlink("/dev/null", join(root, "deaf"));
  const { changed, warnings } = await new SysctlClient(root).apply([sysctl("deaf", "1", { required: false })]);
  expect(changed).toEqual([]);
  expect(warnings).toEqual(["Cannot set deaf to 1: it was written and is still "]);
});
