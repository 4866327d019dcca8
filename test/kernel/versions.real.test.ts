import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { expect, test } from "vitest";
import { finished } from "../support/node/namespace.ts";

/** What differs between kernels by docs/kernels.md, as it is on this one. */
const { GUEST_IPTABLES } = process.env;
const [major = 0, minor = 0] = release().split(".").map(Number);
const isAtLeast = (wantedMajor: number, wantedMinor: number) =>
  major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);

test.each([
  ["conn_reuse_mode", 4, 1],
  ["expire_nodest_conn", 2, 6],
  ["run_estimation", 5, 16],
  ["est_nice", 6, 2],
  ["est_cpulist", 6, 2],
  ["svc_lfactor", 7, 1],
  ["conn_lfactor", 7, 1],
])("the kernel has the sysctl net.ipv4.vs.%s from Linux %d.%d on", async (name, sinceMajor, sinceMinor) => {
  // The module that has them is loaded by the first request.
  await finished(["ipvsadm", "-Sn"]);
  expect(existsSync(`/proc/sys/net/ipv4/vs/${name}`)).toBe(isAtLeast(sinceMajor, sinceMinor));
});

test("the table of virtual servers has a size while it is empty, but not from Linux 7.1 on, where it grows", async () => {
  expect((await finished(["unshare", "--net", "ipvsadm", "-Sn"])).out).toBe("");
  const { out } = await finished(["unshare", "--net", "head", "-1", "/proc/net/ip_vs"]);
  expect(out).toMatch(isAtLeast(7, 1) ? /size=0\)/ : /size=[1-9]\d*\)/);
});

test("the kernel names its tables of legacy iptables, unless it was built without them", () => {
  const file = "/proc/net/ip_tables_names";
  // Linux 6.17 and later may be built without.
  if (existsSync(file)) expect(readFileSync(file, "utf8")).toMatch(/^(\w+\n)*$/);
  else expect(isAtLeast(6, 17) || GUEST_IPTABLES === "nft").toBe(true);
});
