import { expect, test } from "vitest";
import { foreignChains } from "../../../../src/kernel/iptables/foreign-chains.ts";

const OWN = { nat: ["KUBE-SERVICES", "KUBE-NODE-PORT"], filter: ["KUBE-IPVS-FILTER"] };

/** Tables of iptables-save: `name: line, line`. */
const tables = (...texts: string[]) =>
  texts
    .map((text) => {
      const [name = "", rest = ""] = text.split(/: (.*)/s);
      return `*${name}\n${rest.replaceAll(", ", "\n")}\nCOMMIT\n`;
    })
    .join("");

test.each<[string, string, readonly string[], number]>([
  ["no table", "", [], 0],
  ["tables without rules", tables("filter: :INPUT ACCEPT [0:0], :FORWARD ACCEPT [0:0]"), [], 0],
  ["a chain without rules, such as the kubelet's", tables("mangle: :KUBE-KUBELET-CANARY - [0:0]"), [], 0],
  [
    "rules of the agent only",
    tables("nat: :OUTPUT ACCEPT [0:0], :KUBE-SERVICES - [0:0], -A OUTPUT -j KUBE-SERVICES, -A KUBE-SERVICES -j ACCEPT"),
    [],
    0,
  ],
  [
    "a rule in a built-in chain",
    tables("filter: :FORWARD ACCEPT [0:0], -A FORWARD -s 10.0.0.0/8 -j DROP"),
    ["FORWARD"],
    1,
  ],
  ["counters in front of a rule", tables("filter: :FORWARD ACCEPT [0:0], [3:180] -A FORWARD -j DROP"), ["FORWARD"], 1],
  ["a policy that drops", tables("filter: :FORWARD DROP [0:0]"), ["FORWARD (policy DROP)"], 0],
  [
    "one chain of a program, with its jump",
    tables("nat: :OUTPUT ACCEPT [0:0], :DOCKER - [0:0], -A OUTPUT -j DOCKER, -A DOCKER -j RETURN"),
    ["DOCKER"],
    2,
  ],
  [
    "chains with one prefix",
    tables("filter: :cali-a - [0:0], :cali-b - [0:0], -A cali-a -j DROP, -A cali-b -j DROP"),
    ["cali-*"],
    2,
  ],
  [
    "chains with and without a suffix",
    tables("filter: :DOCKER - [0:0], :DOCKER-USER - [0:0], -A DOCKER -j DROP, -A DOCKER-USER -j DROP"),
    ["DOCKER*"],
    2,
  ],
  [
    "chains of one program in two tables",
    tables(
      "nat: :FLANNEL-POSTRTG - [0:0], -A FLANNEL-POSTRTG -j RETURN",
      "filter: :FLANNEL-FWD - [0:0], -A FLANNEL-FWD -j ACCEPT",
    ),
    ["FLANNEL-*"],
    2,
  ],
  [
    "an own name in a table where it is not own",
    tables("filter: :KUBE-SERVICES - [0:0], -A KUBE-SERVICES -j DROP"),
    ["KUBE-SERVICES"],
    1,
  ],
])("rules of other programs are found in %s", (_, text, names, rules) => {
  expect(foreignChains(text, OWN)).toEqual({ names, rules });
});

test("chains with most rules come first, and of many programs six are named", () => {
  const programs = Array.from({ length: 9 }, (_, index) => `P${index}`);
  const lines = programs.flatMap((name, index) => [`:${name} - [0:0]`, ...Array(index + 1).fill(`-A ${name} -j DROP`)]);
  expect(foreignChains(tables(`filter: ${lines.join(", ")}`), {})).toEqual({
    names: ["P8", "P7", "P6", "P5", "P4", "P3"],
    rules: 45,
  });
});

test("10,000 rules of one program make one name", () => {
  const lines = Array.from({ length: 5_000 }, (_, index) => [
    `:cali-tw-${index} - [0:0]`,
    `-A cali-tw-${index} -j DROP`,
    `-A cali-tw-${index} -s 10.0.0.${index % 256}/32 -m comment --comment "a b" -j ACCEPT`,
  ]);
  expect(foreignChains(`*filter\n${lines.flat().join("\n")}\nCOMMIT\n`, OWN)).toEqual({
    names: ["cali-*"],
    rules: 10_000,
  });
});
