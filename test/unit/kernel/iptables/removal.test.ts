import { expect, test } from "vitest";
import { removalText } from "../../../../src/kernel/iptables/removal.ts";
import { parseSave } from "../../../../src/kernel/iptables/save-format.ts";

/** Lines of iptables-save for the table nat, in which `:CHAIN` stands for a chain without policy and counters. */
const saved = (...lines: string[]) =>
  parseSave(
    ["*nat", ...lines.map((line) => (line.startsWith(":") ? `${line} - [0:0]` : line)), "COMMIT", ""].join("\n"),
    "nat",
  );
const OURS = ["KUBE-A", "KUBE-B", "KUBE-C"];
const lines = (text: string | undefined) => text?.trimEnd().split("\n").slice(1, -1);
const remove = (...table: string[]) => lines(removalText(saved(...table), "nat", OURS));
const removeKeeping = (...table: string[]) => lines(removalText(saved(...table), "nat", OURS, "keep"));

const CHAINS = [":PREROUTING", ":INPUT", ":OUTPUT", ":POSTROUTING", ":KUBE-A", ":KUBE-B"];
const JUMPS = [
  '-A PREROUTING -m comment --comment "our portal" -j KUBE-A',
  '-A OUTPUT -m comment --comment "our portal" -j KUBE-A',
];
const RULES = ['-A KUBE-A -m comment --comment "to b" -j KUBE-B', "-A KUBE-A -j ACCEPT"];

test.each([
  ["", remove],
  ["while chains in use are kept", removeKeeping],
])("the removal empties and deletes the chains that exist, and deletes the jumps into them %s", (_, removed) => {
  expect(removed(...CHAINS, ...JUMPS, "-A POSTROUTING -j KUBE-B", "-A OUTPUT -j OTHERS", ...RULES)).toEqual([
    ":KUBE-A - [0:0]",
    ":KUBE-B - [0:0]",
    '-D PREROUTING -m comment --comment "our portal" -j KUBE-A',
    '-D OUTPUT -m comment --comment "our portal" -j KUBE-A',
    "-D POSTROUTING -j KUBE-B",
    "-X KUBE-A",
    "-X KUBE-B",
  ]);
});

test("the removal writes nothing if no chain exists", () => {
  expect(remove(":OUTPUT", ":KUBE-OTHER", "-A OUTPUT -j KUBE-OTHER")).toBeUndefined();
});

const USES = [
  ["a rule with a condition", "-A OUTPUT -p tcp -j KUBE-B"],
  ["a chain of another program", "-A OTHERS -j KUBE-B"],
  ["a goto", "-A OTHERS -s 10.0.0.0/8 -g KUBE-B"],
] as const;

test.each(USES)("a chain to which %s of another program leads is emptied and stays", (_, rule) => {
  expect(remove(...CHAINS, ":OTHERS", ...RULES, rule, "-A KUBE-B -j DROP")).toEqual([
    ":KUBE-A - [0:0]",
    ":KUBE-B - [0:0]",
    "-X KUBE-A",
  ]);
  expect(remove(":KUBE-B", ":OTHERS", ":OUTPUT", rule)).toBeUndefined();
});

test.each(USES)(
  "a chain to which %s of another program leads is kept with its rules if it may be in use",
  (_, rule) => {
    expect(removeKeeping(...CHAINS, ":OTHERS", ...RULES, rule, "-A KUBE-B -j DROP")).toEqual([
      ":KUBE-A - [0:0]",
      "-X KUBE-A",
    ]);
  },
);

test("a chain that is kept keeps the chains into which it leads, and the jumps into all of them", () => {
  const chain = ["-A KUBE-A -j KUBE-B", "-A KUBE-B -g KUBE-C", "-A OUTPUT -j KUBE-C"];
  expect(removeKeeping(...CHAINS, ":KUBE-C", ":OTHERS", "-A OTHERS -j KUBE-A", ...chain)).toBeUndefined();
});
