import { describe, expect, test } from "vitest";
import { ownPart, parseSave, restoreText } from "../../../../src/kernel/iptables/save-format.ts";
import type { RuleTable } from "../../../../src/model/kernel/rules.ts";

const WANTED: RuleTable = {
  name: "nat",
  chains: [
    { name: "KUBE-A", rules: ['-m comment --comment "to b" -j KUBE-B', "-j ACCEPT"] },
    { name: "KUBE-B", rules: [] },
  ],
  jumps: [
    { from: "OUTPUT", rule: '-m comment --comment "our portal" -j KUBE-A' },
    { from: "PREROUTING", rule: '-m comment --comment "our portal" -j KUBE-A' },
  ],
};
/** A table as iptables-save prints it, from its lines without policy and counters. */
const saved = (...lines: string[]) =>
  parseSave(
    [
      "# Generated",
      "*nat",
      ...lines.map((line) => (line.startsWith(":") ? `${line} - [0:0]` : line)),
      "COMMIT",
      "# Done",
      "",
    ].join("\n"),
    "nat",
  );
const CHAINS = [":PREROUTING", ":INPUT", ":OUTPUT", ":POSTROUTING", ":KUBE-A", ":KUBE-B"];
const JUMPS = [
  '-A PREROUTING -m comment --comment "our portal" -j KUBE-A',
  '-A OUTPUT -m comment --comment "our portal" -j KUBE-A',
];
const RULES = ['-A KUBE-A -m comment --comment "to b" -j KUBE-B', "-A KUBE-A -j ACCEPT"];
const DECLARED = [":KUBE-A - [0:0]", ":KUBE-B - [0:0]", ...RULES];
const lines = (text: string | undefined) => text?.trimEnd().split("\n").slice(1, -1);

test("only the requested table of an iptables-save output is read, with empty chains and counters", () => {
  const text = [
    "*filter",
    ":INPUT DROP [7:77]",
    "-A INPUT -j DROP",
    "COMMIT",
    "*nat",
    ":OUTPUT ACCEPT [1:60]",
    ":KUBE-A - [0:0]",
    "[3:180] -A OUTPUT -s 10.0.0.0/8 -j KUBE-A",
    "COMMIT",
  ].join("\n");
  expect([...parseSave(text, "nat")]).toEqual([
    ["OUTPUT", ["-s 10.0.0.0/8 -j KUBE-A"]],
    ["KUBE-A", []],
  ]);
  expect(parseSave(text, "mangle").size).toBe(0);
});

describe("restoreText", () => {
  test("writes nothing if chains and jumps exist, beside any foreign rules", () => {
    const others = [":OTHERS", "-A OTHERS -j DROP", "-A OUTPUT -j OTHERS"];
    expect(restoreText(saved(...CHAINS, ...JUMPS, ...others, ...RULES), WANTED, () => false)).toBeUndefined();
  });

  test("writes all into an empty table, jumps at the top in the order given", () => {
    const text = restoreText(saved(":OUTPUT", ":PREROUTING"), WANTED, () => false);
    expect(text).toBe(
      `${["*nat", ...DECLARED, '-I OUTPUT 1 -m comment --comment "our portal" -j KUBE-A', '-I PREROUTING 1 -m comment --comment "our portal" -j KUBE-A', "COMMIT"].join("\n")}\n`,
    );
  });

  test.each([
    ["a rule is missing", [...JUMPS, ...RULES.slice(1)]],
    ["a rule is different", [...JUMPS, '-A KUBE-A -m comment --comment "to c" -j KUBE-B', "-A KUBE-A -j ACCEPT"]],
    ["rules are in another order", [...JUMPS, ...RULES.toReversed()]],
    ["there is a rule too many", [...JUMPS, ...RULES, "-A KUBE-A -j DROP"]],
    ["a chain that is to be empty is not", [...JUMPS, ...RULES, "-A KUBE-B -j DROP"]],
  ])("writes all chains and no jump when %s", (_, rules) => {
    expect(lines(restoreText(saved(...CHAINS, ...rules), WANTED, () => false))).toEqual(DECLARED);
  });

  test("writes all chains if one is missing", () => {
    expect(lines(restoreText(saved(...CHAINS.slice(0, -1), ...JUMPS, ...RULES), WANTED, () => false))).toEqual(
      DECLARED,
    );
  });

  test("inserts only a missing jump", () => {
    expect(lines(restoreText(saved(...CHAINS, ...JUMPS.slice(1), ...RULES), WANTED, () => false))).toEqual([
      '-I PREROUTING 1 -m comment --comment "our portal" -j KUBE-A',
    ]);
  });

  test("moves a jump before foreign rules, unless they are tolerated", () => {
    const table = saved(...CHAINS, "-A OUTPUT -j OTHERS", ...JUMPS, ...RULES);
    const rule = '-m comment --comment "our portal" -j KUBE-A';
    expect(lines(restoreText(table, WANTED, () => false))).toEqual([`-D OUTPUT ${rule}`, `-I OUTPUT 1 ${rule}`]);
    expect(restoreText(table, WANTED, (from, rule) => `${from} ${rule}` === "OUTPUT -j OTHERS")).toBeUndefined();
  });
});

test("our part of a table changes with our chains and jumps, not with foreign ones", () => {
  const table = saved(...CHAINS, ...JUMPS, ...RULES);
  const same = saved(...CHAINS, ...JUMPS, ...RULES, ":OTHERS", "-A OTHERS -j DROP", "-A OUTPUT -j OTHERS");
  expect(ownPart(same, WANTED)).toBe(ownPart(table, WANTED));
  for (const other of [saved(...CHAINS, ...JUMPS, ...RULES.slice(1)), saved(...CHAINS, ...JUMPS.slice(1), ...RULES)]) {
    expect(ownPart(other, WANTED)).not.toBe(ownPart(table, WANTED));
  }
});
