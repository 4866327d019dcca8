import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jumpLines, rulesAheadOfJumps } from "../../../../src/kernel/iptables/save-format.ts";
import type { Jump } from "../../../../src/model/kernel/rules.ts";

const first = (rule: string): Jump => ({ from: "INPUT", rule });
const last = (rule: string): Jump => ({ from: "INPUT", rule, place: "last" });
/** a is inserted at the top, then b above it; y is appended, then z below it. */
const JUMPS: readonly Jump[] = [first("a"), first("b"), last("y"), last("z")];

/** A chain as the sequence of its rules: ours are a, b, y and z, capitals are foreign. */
const chain = (rules: string) => new Map([["INPUT", rules.split(" ").filter((rule) => rule !== "")]]);
const never = () => false;
const tolerating = (rules: string) => (from: string, rule: string) => from === "INPUT" && rules.includes(rule);
/** The chain after iptables-restore has read the lines. */
function restored(before: string, jumps = JUMPS, tolerates: (from: string, rule: string) => boolean = never): string {
  const rules = [...(chain(before).get("INPUT") ?? [])];
  for (const line of jumpLines(chain(before), jumps, tolerates)) {
    const [command, from, ...rest] = line.split(" ");
    expect(from).toBe("INPUT");
    const rule = rest.at(-1) ?? "";
    if (command === "-D") rules.splice(rules.indexOf(rule), 1);
    if (command === "-I") rules.unshift(rule);
    if (command === "-A") rules.push(rule);
  }
  return rules.join(" ");
}

describe("jumps", () => {
  test.each([
    ["", "b a y z"],
    ["A B", "b a A B y z"],
    ["b a A B y z", "b a A B y z"],
    ["A b a B y z", "b a A B y z"],
    ["b A a B y z", "b a A B y z"],
    ["a b A y z", "b a A y z"],
    ["b a a A y z", "b a A y z"],
    ["b a A b y z", "b a A y z"],
    ["a A y z", "b a A y z"],
    ["b a A y z B", "b a A B y z"],
    ["b a A z B y", "b a A B y z"],
    ["b a y z", "b a y z"],
  ])("of a chain %j are brought to their places: %j", (before, after) => {
    expect(restored(before)).toBe(after);
  });

  test.each([
    ["A b a y z", "A b a y z"],
    ["b A a B y A z A", "b A a B y A z A"],
    ["B A b a y z", "b a B A y z"],
    ["A b a b y z", "b a A y z"],
  ])("of a chain %j that A may overtake: %j", (before, after) => {
    expect(restored(before, JUMPS, tolerating("A"))).toBe(after);
  });

  test("at one end of a chain do not move the ones at the other end", () => {
    expect(jumpLines(chain("A b a y z"), JUMPS, never)).toEqual([
      "-D INPUT b",
      "-D INPUT a",
      "-I INPUT 1 a",
      "-I INPUT 1 b",
    ]);
  });

  test("are in place after one restore of any chain, with foreign rules in their order", () => {
    const rule = fc.constantFrom("a", "b", "y", "z", "A", "B", "C");
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 10 }), fc.subarray([...JUMPS]), (rules, jumps) => {
        const ours = jumps.map(({ rule }) => rule);
        const others = rules.filter((rule) => !ours.includes(rule));
        const top = jumps.filter(({ place }) => place === undefined).map(({ rule }) => rule);
        const bottom = jumps.filter(({ place }) => place === "last").map(({ rule }) => rule);
        const after = restored(rules.join(" "), jumps);
        expect(after).toBe([...top.toReversed(), ...others, ...bottom].join(" "));
        expect(jumpLines(chain(after), jumps, never)).toEqual([]);
      }),
    );
  });
});

test.each([
  ["b a A y z", ""],
  ["A b B a C y D z E", "A B"],
  ["A B", ""],
  ["A a", "A"],
])("in the chain %j the foreign rules before our jumps are %j", (rules, expected) => {
  const found = rulesAheadOfJumps(chain(rules), JUMPS);
  expect(found.map(({ rule }) => rule).join(" ")).toBe(expected);
  expect(found.every(({ from }) => from === "INPUT")).toBe(true);
});
