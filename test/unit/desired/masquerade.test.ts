import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type MasqueradeOptions, masqueradeRules, PROXY_CHAINS } from "../../../src/desired/masquerade.ts";
import { type Cidr, parseCidr } from "../../../src/model/address.ts";

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const OPTIONS: MasqueradeOptions = {
  family: "IPv4",
  masqueradeBit: 14,
  masqueradeAll: false,
  clusterCIDRs: [cidr("10.244.0.0/16"), cidr("fd00:10::/64")],
  randomFully: true,
};
const chain = (options: Partial<MasqueradeOptions>, name: string, table = "nat"): readonly string[] =>
  masqueradeRules({ ...OPTIONS, ...options })
    .tables.find((one) => one.name === table)
    ?.chains.find((one) => one.name === name)?.rules ?? [];

/** What iptables-save printed after these rules were written to a Linux 6.1, line by line. */
describe.each([
  ["IPv4", "iptables-legacy-save.txt"],
  ["IPv6", "ip6tables-legacy-save.txt"],
  ["IPv4", "iptables-nft-save.txt"],
  ["IPv6", "ip6tables-nft-save.txt"],
] as const)("%s rules as %s prints them", (family, file) => {
  const text = readFileSync(new URL(`../kernel/iptables/fixtures/${file}`, import.meta.url), "utf8");

  test.each(masqueradeRules({ ...OPTIONS, family }).tables)("table $name", (table) => {
    const printed = text.slice(text.indexOf(`*${table.name}\n`)).split("COMMIT")[0] ?? "";
    const written = [
      ...table.jumps.map(({ from, rule }) => `-A ${from} ${rule}`),
      ...table.chains.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`)),
    ];
    expect(written.sort()).toEqual(printed.match(/^-A .*$/gm)?.sort());
    for (const { name, rules } of table.chains) {
      expect(rules.map((rule) => `-A ${name} ${rule}`)).toEqual(
        printed.split("\n").filter((line) => line.startsWith(`-A ${name} `)),
      );
    }
  });
});

test.each([
  [
    "everybody, when all is to be masqueraded",
    { masqueradeAll: true },
    /^-m comment .* KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ$/,
  ],
  [
    "whoever is not a pod, when we know where pods live",
    {},
    /^! -s 10\.244\.0\.0\/16 -m .* dst,dst -j KUBE-MARK-MASQ$/,
  ],
  ["only this node, when we do not", { clusterCIDRs: [] }, /^-m comment .* KUBE-CLUSTER-IP src,dst -j KUBE-MARK-MASQ$/],
  [
    "only this node, when we know it of the other family",
    { clusterCIDRs: [cidr("fd00::/8")] },
    /^-m .* src,dst -j KUBE/,
  ],
])("on the way to a ClusterIP is masqueraded: %s", (_, options, rule) => {
  expect(chain(options, "KUBE-SERVICES")[1]).toMatch(rule);
});

test.each([
  [0, "0x1"],
  [14, "0x4000"],
  [31, "0x80000000"],
])("masquerade bit %i is mark %s everywhere", (masqueradeBit, mark) => {
  expect(chain({ masqueradeBit }, "KUBE-MARK-MASQ")).toEqual([`-j MARK --set-xmark ${mark}/${mark}`]);
  const postrouting = chain({ masqueradeBit }, "KUBE-POSTROUTING");
  expect(postrouting.slice(1, 3)).toEqual([
    `-m mark ! --mark ${mark}/${mark} -j RETURN`,
    `-j MARK --set-xmark ${mark}/0x0`,
  ]);
  expect(chain({ masqueradeBit }, "KUBE-FORWARD", "filter")[0]).toContain(`--mark ${mark}/${mark} -j ACCEPT`);
});

test("ports are chosen at random where iptables can, but never for a pod that reaches itself", () => {
  const [hairpin, , , masquerade] = chain({}, "KUBE-POSTROUTING");
  expect([hairpin, masquerade].map((rule) => rule?.endsWith("--random-fully"))).toEqual([false, true]);
  expect(chain({ randomFully: false }, "KUBE-POSTROUTING")[3]).toMatch(/-j MASQUERADE$/);
});

test("what cleanup removes holds every chain that we make", () => {
  for (const { name, chains } of masqueradeRules(OPTIONS).tables) {
    if (name === "mangle") throw new Error("there is no cleanup of mangle");
    expect(PROXY_CHAINS[name]).toEqual(expect.arrayContaining(chains.map((one) => one.name)));
  }
});
