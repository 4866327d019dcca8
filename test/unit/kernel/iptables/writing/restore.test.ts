import { expect, test } from "vitest";
import { restoreTables, type TableInput } from "../../../../../src/kernel/iptables/writing/restore.ts";
import type { ProcessResult } from "../../../../../src/kernel/run-process.ts";

/** Three tables of three lines each: the lines of nat are 4 to 6. */
const INPUTS: readonly TableInput[] = (["mangle", "nat", "filter"] as const).map((table) => ({
  table,
  text: `*${table}\n-A ${table.toUpperCase()}\nCOMMIT\n`,
}));
const OK: ProcessResult = { code: 0, stdout: "", stderr: "" };

/** The tables of each run, and the failures, if the runs have these results. */
async function restored(...results: readonly ProcessResult[]) {
  const runs: string[] = [];
  const run = async (_: string, __: readonly string[], input = "") => {
    runs.push([...input.matchAll(/^\*(\w+)$/gm)].map(([, table]) => table).join(" "));
    return results[runs.length - 1] ?? OK;
  };
  const failures = await restoreTables(run, { infix: "-nft", modern: true }, "IPv4", INPUTS);
  return { runs, failed: [...failures].map(([table, { line }]) => `${table}: ${line}`) };
}

const failed = (code: number, stderr: string): ProcessResult => ({ code, stdout: "", stderr });

test("all tables are written by one program", async () => {
  expect(await restored()).toEqual({ runs: ["mangle nat filter"], failed: [] });
});

test.each([
  [
    "legacy names in a rule",
    "iptables-restore v1.8.9 (legacy): Couldn't load match `x'\nError occurred at line: 5",
    "-A NAT",
  ],
  ["legacy names at the commit", "iptables-restore: line 6 failed\n", "COMMIT"],
  [
    "nft names",
    "iptables-nft-restore: line 5: RULE_APPEND failed (No such file or directory): rule in chain NAT",
    "-A NAT",
  ],
  ["names the table", "unable to initialize table 'nat'\n\nError occurred at line: 4\n", "*nat"],
])("a line that %s shows the table that failed; those behind it follow", async (_, stderr, line) => {
  expect(await restored(failed(1, stderr))).toEqual({
    runs: ["mangle nat filter", "filter"],
    failed: [`nat: ${line}`],
  });
});

test("each failed table is named, and the last one ends the write", async () => {
  const first = failed(1, "Error occurred at line: 2");
  expect(await restored(first, first)).toEqual({
    runs: ["mangle nat filter", "nat filter", "filter"],
    failed: ["mangle: -A MANGLE", "nat: -A NAT"],
  });
  expect(await restored(failed(1, "Error occurred at line: 8"))).toEqual({
    runs: ["mangle nat filter"],
    failed: ["filter: -A FILTER"],
  });
});

test.each([
  ["no line", "TABLE_ADD failed (Operation not supported): table nat"],
  ["a line that is not there", "line 99 failed"],
])("after a failure that names %s each table is written alone", async (_, stderr) => {
  expect(await restored(failed(4, stderr), OK, failed(4, stderr))).toEqual({
    runs: ["mangle nat filter", "mangle", "nat", "filter"],
    failed: ["nat: "],
  });
});

test.each([
  ["is missing", failed(127, "not found")],
  ["was killed because it hangs", failed(124, "")],
  ["did not get the lock", failed(4, "Another app is currently holding the xtables lock. Perhaps you want to use -w")],
])("no table is tried alone if the program %s", async (_, result) => {
  expect(await restored(result)).toEqual({ runs: ["mangle nat filter"], failed: ["mangle: ", "nat: ", "filter: "] });
});
