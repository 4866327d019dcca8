import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseSave } from "../../../../src/kernel/iptables/save-format.ts";
import { otherWriter, TableContests } from "../../../../src/kernel/iptables/table-contest.ts";
import { proxyRules } from "../../../../src/node/rules/proxy-rules.ts";

const RECORDED = join(import.meta.dirname, "../../../fixtures/kube-proxy");

const TABLES = proxyRules({
  family: "IPv4",
  masqueradeBit: 14,
  masqueradeAll: false,
  pods: undefined,
  vipBinding: "address",
  localMarkMask: 0x107f,
  dropInvalid: true,
  randomFully: true,
}).tables;

test.each(["ipvs", "iptables"])(
  "the rules of kube-proxy's %s mode in the chains of the agent are recognised",
  (mode) => {
    const saved = readFileSync(join(RECORDED, mode, "iptables-save.txt"), "utf8");
    const nat = TABLES.find(({ name }) => name === "nat");
    expect(nat && otherWriter(parseSave(saved, "nat"), nat)).toBe(`kube-proxy in ${mode} mode`);
  },
);

test("the agent's own rules are those of no other proxy, nor are empty chains", () => {
  for (const table of TABLES) {
    expect(otherWriter(new Map(table.chains.map(({ name, rules }) => [name, rules])), table)).toBeUndefined();
    expect(otherWriter(new Map(table.chains.map(({ name }) => [name, []])), table)).toBeUndefined();
  }
});

test("a table that is rewritten each time is written three times, and then less and less often", () => {
  const contests = new TableContests();
  const written = Array.from({ length: 40 }, () => contests.mayWrite("IPv4 nat"));
  expect(written.flatMap((isWritten, index) => (isWritten ? [index] : []))).toEqual([0, 1, 2, 3, 6, 11, 20, 37]);
});

test("a table that stays right four times is written at once again, and tables are counted apart", () => {
  const contests = new TableContests();
  for (let index = 0; index < 5; index++) contests.mayWrite("IPv4 nat");
  expect([contests.mayWrite("IPv4 nat"), contests.mayWrite("IPv6 nat")]).toEqual([false, true]);
  for (let index = 0; index < 4; index++) contests.recordRight("IPv4 nat");
  expect(contests.mayWrite("IPv4 nat")).toBe(true);
});
