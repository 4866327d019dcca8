import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FAMILIES, type IPFamily } from "../../../../src/model/address.ts";
import { ipset, ipsets, type SetBase } from "../../../../src/model/kernel/ipset.ts";
import type { RuleOptions } from "../../../../src/node/rules/match.ts";
import { proxyRules } from "../../../../src/node/rules/proxy-rules.ts";

/** The rules match sets that the replaced kube-proxy does not have. These sets are empty until the first sync. */
const LEFT = readFileSync(join(import.meta.dirname, "../../../fixtures/kube-proxy/ipvs/ipset-save.txt"), "utf8");

/** How packets are handled while the set is empty, compared with the rules of kube-proxy. */
const WHILE_EMPTY: Readonly<Partial<Record<SetBase, "nothing" | "the node fills it first">>> = {
  // NodePorts would not be masqueraded.
  "KUBE-NODE-PORT-IPS": "the node fills it first",
  // Packets to ClusterIPs that no Service has are not rejected, drops of traffic policies do not drop, nothing is marked.
  "KUBE-SERVICE-CIDR": "nothing",
  "KUBE-DROP": "nothing",
  "KUBE-DROP-EXTERNAL": "nothing",
  "KUBE-LOCAL-MARK": "nothing",
};

const OPTIONS: Omit<RuleOptions, "family"> = {
  masqueradeBit: 14,
  masqueradeAll: false,
  pods: "-s 10.244.0.0/16",
  vipBinding: "address",
  localMarkMask: 0x107f,
  dropInvalid: true,
  randomFully: true,
};

function rulesThatMatch(base: SetBase, family: IPFamily): readonly string[] {
  const { name } = ipset(base, family);
  const rules = proxyRules({ ...OPTIONS, family }).tables.flatMap(({ chains }) =>
    chains.flatMap((chain) => chain.rules),
  );
  return rules.filter((rule) => new RegExp(`--(match|map)-set ${name} `).test(rule));
}

test.each(FAMILIES)(
  "every set of %s that rules match and kube-proxy does not leave has a documented effect",
  (family) => {
    const missing = ipsets(family).filter(({ name }) => !LEFT.includes(`create ${name} `));
    const asked = missing.map(({ base }) => base).filter((base) => rulesThatMatch(base, family).length > 0);
    expect(asked.toSorted()).toEqual(Object.keys(WHILE_EMPTY).toSorted());
  },
);

test.each(FAMILIES)(
  "while such a set of %s is empty its rules match nothing, and so leave packets to the rules below",
  (family) => {
    for (const [base, verdict] of Object.entries(WHILE_EMPTY)) {
      if (verdict !== "nothing") continue;
      const rules = rulesThatMatch(base as SetBase, family); // a key of the table
      // A rule that matches absence would match every packet, and a rule that leads to masquerading would not be reached.
      expect(
        rules.filter((rule) => rule.includes(`! --match-set`) || /-[jg] KUBE-(MARK-MASQ|NODE-PORT)$/.test(rule)),
      ).toEqual([]);
    }
  },
);
