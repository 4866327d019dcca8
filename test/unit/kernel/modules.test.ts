import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KERNEL_MODULES, loadModules } from "../../../src/kernel/modules.ts";
import type { ProcessResult } from "../../../src/kernel/run-process.ts";

/** A modprobe that ends like this. */
const modprobe = (result: Partial<ProcessResult>) => async () => ({ code: 0, stdout: "", stderr: "", ...result });

test("all modules are loaded by one call", async () => {
  const asked: string[] = [];
  const run = async (file: string, args: readonly string[]) => {
    asked.push([file, ...args].join(" "));
    return { code: 0, stdout: "", stderr: "" };
  };
  expect(await loadModules(["ip_vs", "dummy"], run)).toEqual({ changed: [], warnings: [] });
  expect(asked).toEqual(["modprobe --all ip_vs dummy"]);
});

test.each([
  ["each module that is missing", { code: 1, stderr: "no module a\nno module b\n" }, ["no module a", "no module b"]],
  ["a program that is missing", { code: 127, stderr: "spawn modprobe ENOENT" }, ["spawn modprobe ENOENT"]],
  ["a failure without a word", { code: 1 }, ["modprobe ended with exit code 1"]],
])("%s is a warning", async (_what, result, warnings) => {
  expect((await loadModules(["a", "b"], modprobe(result))).warnings).toEqual(warnings);
});

test("a node loads the modules that a test guest loads, except legacy iptables tables and the links and rules of tests", () => {
  const text = readFileSync(new URL("../../support/run/modules.txt", import.meta.url), "utf8");
  const needed = text.replace(/^#.*$/gm, "").split(/\s+/).filter(Boolean);
  const others = needed.filter(
    (name) =>
      !/^(veth|bridge|ip6?table_\w+|xt_nat|xt_tcpudp|xt_CT|xt_multiport|xt_limit|nfnetlink_log|xt_NFLOG|xt_hl|ip6t_rt|xt_ipvs|xt_recent|xt_statistic)$/.test(
        name,
      ),
  );
  expect(others.length).toBeGreaterThan(20);
  expect(others.filter((name) => !KERNEL_MODULES.includes(name))).toEqual([]);
});
