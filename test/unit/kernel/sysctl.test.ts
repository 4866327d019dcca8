import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SysctlClient } from "../../../src/kernel/sysctl.ts";
import type { Sysctl } from "../../../src/model/kernel/sysctl.ts";

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
] as const)("a sysctl to be %s: %s becomes %s", async (compare, before, value, after) => {
  await put("net/a", before);
  const report = await new SysctlClient(root).apply([sysctl("net/a", value, { compare })]);
  expect(report).toEqual({ changed: [`set net/a from ${before} to ${value}`], warnings: [] });
  expect(await get("net/a")).toBe(after);
});

test.each([
  ["equal", "1", "1"],
  ["atLeast", "10", "9"],
  ["atLeast", "10", "10"],
] as const)("a sysctl to be %s: %s is left alone when %s is wanted", async (compare, before, value) => {
  await put("net/a", before);
  const { mtimeMs } = await stat(join(root, "net/a"));
  expect(await new SysctlClient(root).apply([sysctl("net/a", value, { compare })])).toEqual({
    changed: [],
    warnings: [],
  });
  expect(await get("net/a")).toBe(before);
  expect((await stat(join(root, "net/a"))).mtimeMs).toBe(mtimeMs);
});

test("a sysctl that this kernel lacks is a warning, and is not created", async () => {
  const report = await new SysctlClient(root).apply([sysctl("absent", "1", { required: false })]);
  expect(report.changed).toEqual([]);
  expect(report.warnings).toEqual([
    "absent is missing, not 1: this kernel does not have the setting, or its module is not loaded",
  ]);
  expect(await readdir(root)).toEqual([]);
});

test("the failure of a sysctl that a flag sets names the flag", async () => {
  const asked = sysctl("absent", "60", { required: false, flag: "conntrack-udp-timeout" });
  const { warnings } = await new SysctlClient(root).apply([asked]);
  expect(warnings).toEqual([expect.stringMatching(/^absent is missing, not 60 as --conntrack-udp-timeout requires: /)]);
});

test("a sysctl that cannot be set does not prevent others, and is reported with whether Services need it", async () => {
  await put("net/b", "0");
  const wanted = [sysctl("absent", "1"), sysctl("net/b", "1"), sysctl("gone", "1", { required: false })];
  const { changed, warnings, wrongSysctls } = await new SysctlClient(root).apply(wanted);
  expect(changed).toEqual(["set net/b from 0 to 1"]);
  expect(wrongSysctls).toMatchObject([
    { path: "absent", required: true },
    { path: "gone", required: false },
  ]);
  expect(wrongSysctls?.map(({ text }) => text)).toEqual(warnings);
});

test("if no sysctl may be written, each warning names the remedy for the host and the pod", async () => {
  const refused = () => Promise.reject(Object.assign(new Error("read-only file system"), { code: "EROFS" }));
  await put("net/ipv4/ip_forward", "0");
  await put("net/netfilter/max", "7");
  const wanted = [sysctl("net/ipv4/ip_forward", "1"), sysctl("net/netfilter/max", "8", { compare: "atLeast" })];
  const { warnings } = await new SysctlClient(root, refused).apply(wanted);
  expect(warnings).toEqual([
    "net/ipv4/ip_forward is 0, not 1, and cannot be written here (EROFS): set it on the host: sysctl -w net.ipv4.ip_forward=1, or delete the pod of the agent, whose init container sets it",
    expect.stringContaining("net/netfilter/max is 7, not 8 or more, and cannot be written here (EROFS)"),
  ]);
});

test("a kernel that accepts a value and keeps its own is detected", async () => {
  // Accepts every value and stores none.
  await symlink("/dev/null", join(root, "deaf"));
  const { changed, warnings } = await new SysctlClient(root).apply([sysctl("deaf", "1", { required: false })]);
  expect(changed).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /^deaf is , not 1, and cannot be written here \(the write has no effect, the value is still \)/,
    ),
  ]);
});
