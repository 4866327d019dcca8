import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FAMILIES, type IPFamily } from "../../../../src/model/address.ts";
import { kubeProxyRules } from "../../../../src/node/rules/kube-proxy-rules.ts";

const RECORDED = join(import.meta.dirname, "../../../fixtures/kube-proxy/ipvs");
const read = (file: string) => readFileSync(join(RECORDED, file), "utf8");
const LEFT: Readonly<Record<IPFamily, string>> = { IPv4: read("iptables-save.txt"), IPv6: read("ip6tables-save.txt") };
const SETS = read("ipset-save.txt");

function rulesOf(family: IPFamily) {
  return kubeProxyRules({
    family,
    masqueradeBit: 14,
    masqueradeAll: false,
    pods: family === "IPv4" ? "-s 10.200.0.0/16" : "-s fd00:200::/48",
    vipBinding: "address",
    localMarkMask: 0x107f,
    dropInvalid: true,
    randomFully: true,
  });
}

const withoutComment = (rule: string) => rule.replace(/-m comment --comment "[^"]*" ?/, "").trim();

test.each(FAMILIES)("the chains and jumps of %s are exactly those that kube-proxy leaves", (family) => {
  const { tables } = rulesOf(family);
  const chains = tables.flatMap((table) => table.chains.map(({ name }) => `:${name} - [0:0]`));
  expect(chains.toSorted()).toEqual(LEFT[family].match(/^:KUBE.*/gm)?.toSorted());
  const jumps = tables.flatMap((table) => table.jumps.map(({ from, rule }) => `-A ${from} ${rule}`));
  expect(jumps.toSorted()).toEqual(LEFT[family].match(/^-A [A-Z]+ .*/gm)?.toSorted());
});

test.each(FAMILIES)(
  "all rules of %s that kube-proxy leaves and need no further module are there, in its order",
  (family) => {
    const { tables } = rulesOf(family);
    for (const chain of tables.flatMap((table) => table.chains)) {
      const pattern = new RegExp(`^-A ${chain.name} (.*)$`, "gm");
      const recorded = [...LEFT[family].matchAll(pattern)].map(([, rule = ""]) => withoutComment(rule));
      const table = tables.find(({ chains }) => chains.includes(chain))?.name;
      const mine = chain.rules.map(withoutComment);
      // A chain of this name may be in both tables.
      const expected = recorded.filter((rule) => !/-m (physdev|ipvs) /.test(rule));
      const present = mine.filter((rule) => expected.includes(rule));
      const ofOtherTable = tables.find(({ name }) => name !== table)?.chains.find(({ name }) => name === chain.name);
      const others = new Set(ofOtherTable?.rules.map(withoutComment));
      expect({ chain: chain.name, present }).toEqual({
        chain: chain.name,
        present: expected.filter((rule) => !others.has(rule)),
      });
    }
  },
);

test.each(FAMILIES)("the rules of %s refer only to sets that kube-proxy leaves", (family) => {
  const named = JSON.stringify(rulesOf(family)).matchAll(/--match-set (\S+)/g);
  for (const [, name] of named) expect(SETS).toContain(`create ${name} `);
});
