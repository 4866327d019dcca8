import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hasLegacyTables, lacksNfTables } from "../../../../src/kernel/iptables/programs.ts";

test.each<[string, string | undefined, boolean]>([
  ["lists tables", "nat\nfilter\n", true],
  ["is empty, because none was created in this network namespace", "", false],
  ["is missing, because the kernel has no ip_tables", undefined, false],
])("whether legacy tables exist, if the file of the kernel %s", async (_, content, exist) => {
  const proc = await mkdtemp(join(tmpdir(), "proc-"));
  await mkdir(join(proc, "net"));
  if (content !== undefined) await writeFile(join(proc, "net", "ip6_tables_names"), content);
  expect(await hasLegacyTables("IPv6", proc)).toBe(exist);
  await rm(proc, { recursive: true });
});

test("legacy tables may exist if the file of the kernel cannot be read", async () => {
  const proc = await mkdtemp(join(tmpdir(), "proc-"));
  await mkdir(join(proc, "net", "ip_tables_names"), { recursive: true });
  expect(await hasLegacyTables("IPv4", proc)).toBe(true);
  await rm(proc, { recursive: true });
});

test.each([
  // Seen with 1.8.7, 1.8.9, 1.8.11 and 1.8.13 on Linux 6.1 without the module nf_tables.
  ["ip6tables-save v1.8.7 (nf_tables): Could not fetch rule set generation id: Invalid argument\n\n", true],
  ["iptables-save v1.8.13 (nf_tables): Could not fetch rule set generation id: Invalid argument\n", true],
  ["iptables/1.8.9 Failed to initialize nft: Protocol not supported\n", true],
  [
    "iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)\n",
    false,
  ],
  ["iptables v1.8.9 (nf_tables):  TABLE_ADD failed (Operation not supported): table mangle\n", false],
  ["", false],
])("the output %j says that the kernel has no nf_tables: %s", (stderr, lacks) => {
  expect(lacksNfTables(stderr)).toBe(lacks);
});
