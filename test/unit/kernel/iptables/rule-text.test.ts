import { expect, test } from "vitest";
import { ruleWords, sameRule } from "../../../../src/kernel/iptables/save-format.ts";

test.each([
  ['--comment "a b" -j X', ["--comment", "a b", "-j", "X"]],
  ['--comment "it\\\'s \\"so\\"" -j X', ["--comment", 'it\'s "so"', "-j", "X"]],
  ["--comment plain  -j X", ["--comment", "plain", "-j", "X"]],
  ['--comment "" -j X', ["--comment", "", "-j", "X"]],
])("the rule %s is split into words", (rule, words) => {
  expect(ruleWords(rule)).toEqual(words);
});

test.each([
  ['--comment "one" -j X', "--comment one -j X", true],
  ['--comment "a b" -j X', "--comment a b -j X", false],
  ["-s 10.0.0.1/32 -j X", "-s 10.0.0.1/32 -j Y", false],
  ["-j X", "-j X --log", false],
])("%s and %s are the same rule: %s", (a, b, same) => {
  expect(sameRule(a, b)).toBe(same);
});
