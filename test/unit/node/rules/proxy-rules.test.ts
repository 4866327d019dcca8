import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { RuleOptions } from "../../../../src/node/rules/match.ts";
import { PROXY_CHAINS, proxyRules } from "../../../../src/node/rules/proxy-rules.ts";

const OPTIONS: RuleOptions = {
  family: "IPv4",
  masqueradeBit: 14,
  masqueradeAll: false,
  pods: "-s 10.244.0.0/16",
  vipBinding: "address",
  localMarkMask: 0x107f,
  dropInvalid: true,
  randomFully: true,
};
const chain = (options: Partial<RuleOptions>, name: string, table = "nat"): readonly string[] =>
  proxyRules({ ...OPTIONS, ...options })
    .tables.find((one) => one.name === table)
    ?.chains.find((one) => one.name === name)?.rules ?? [];

/** The output of iptables-save after these rules were written on a Linux host. */
describe.each([
  ["IPv4", "-s 10.244.0.0/16", "iptables-legacy-save.txt"],
  ["IPv6", "-s fd00:10::/64", "ip6tables-legacy-save.txt"],
  ["IPv4", "-s 10.244.0.0/16", "iptables-nft-save.txt"],
  ["IPv6", "-s fd00:10::/64", "ip6tables-nft-save.txt"],
] as const)("%s rules with %s as %s prints them", (family, pods, file) => {
  const text = readFileSync(new URL(`../../kernel/iptables/fixtures/${file}`, import.meta.url), "utf8");

  test.each(proxyRules({ ...OPTIONS, family, pods }).tables)("table $name", (table) => {
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
    "all clients, with --masquerade-all",
    { masqueradeAll: true },
    /^-m comment .* KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ$/,
  ],
  [
    "all clients that are not pods, if the networks of pods are known",
    {},
    /^! -s 10\.244\.0\.0\/16 -m .* dst,dst -j KUBE-MARK-MASQ$/,
  ],
  [
    "all clients that do not come over the bridge of the pods",
    { pods: "-i cni0" },
    /^! -i cni0 -m .* -j KUBE-MARK-MASQ$/,
  ],
  ["only this node, if pods cannot be recognised", { pods: undefined }, /^-m comment .* src,dst -j KUBE-MARK-MASQ$/],
  [
    "only this node, with VIPs that are bound by routes: of IPv4 the source is the VIP all the same",
    { pods: undefined, vipBinding: "route" as const },
    /^-m comment .* src,dst -j KUBE-MARK-MASQ$/,
  ],
  [
    "only this node, with VIPs that are bound by routes: of IPv6 the source is any address of the node",
    { pods: undefined, vipBinding: "route" as const, family: "IPv6" as const },
    /^-m addrtype --src-type LOCAL -m comment .* KUBE-6-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ$/,
  ],
])("traffic to a ClusterIP is masqueraded for %s", (_, options, rule) => {
  const rules = chain(options, "KUBE-SERVICES").filter((one) => /KUBE-(6-)?CLUSTER-IP/.test(one));
  expect(rules).toEqual([expect.stringMatching(rule), expect.stringMatching(/-j ACCEPT$/)]);
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
  expect(chain({ masqueradeBit }, "KUBE-FORWARD", "filter").join()).toContain(`--mark ${mark}/${mark} -j ACCEPT`);
  expect(chain({ masqueradeBit }, "KUBE-LOCAL-UNMARK", "mangle").join()).toContain(`--set-xmark ${mark}/${mark}`);
});

test("masqueraded ports are random if iptables supports it, but never for a pod that connects to itself", () => {
  const [hairpin, , , masquerade] = chain({}, "KUBE-POSTROUTING");
  expect([hairpin, masquerade].map((rule) => rule?.endsWith("--random-fully"))).toEqual([false, true]);
  expect(chain({ randomFully: false }, "KUBE-POSTROUTING")[3]).toMatch(/-j MASQUERADE$/);
});

test.each([
  // The default: the gap is 0x0f80, of which Cilium sets 0x0c00.
  [0x107f, "0x1000/0x1380", "0x0/0x1fff"],
  [0x30f, "0x200/0x2f0", "0x0/0x3ff"],
  [0xff0, "0x800/0x800", "0x0/0xff0"],
  [0x80000001, "0x80000000/0xfffff3fe", "0x0"],
])(
  "a local mark within %x is recognised by %s, set on %s, and cleared in all its bits",
  (localMarkMask, known, free) => {
    const [notOurs, , clear] = chain({ localMarkMask }, "KUBE-LOCAL-UNMARK", "mangle");
    expect(notOurs).toBe(`-m mark ! --mark ${known} -j RETURN`);
    expect(clear).toBe(`-j MARK --set-xmark 0x0/0x${localMarkMask.toString(16)}`);
    expect(chain({ localMarkMask }, "KUBE-LOCAL-POLICY")).toEqual([
      `-m mark ! --mark ${known} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
    ]);
    for (const name of ["KUBE-LOCAL-PODS", "KUBE-LOCAL-NODE"])
      expect(chain({ localMarkMask }, name, "mangle").at(-1)).toContain(`-m mark --mark ${free} -j SET --map-set`);
  },
);

test("if pods cannot be recognised, no client is exempt from drops and none is marked", () => {
  const none = { pods: undefined };
  expect(chain(none, "KUBE-LOCAL-PODS", "mangle")).toEqual([]);
  const exempt = (options: Partial<RuleOptions>) =>
    chain(options, "KUBE-PROXY-FIREWALL", "filter").filter((rule) => /^-[si] \S+ -j RETURN$/.test(rule));
  expect([exempt(none), exempt({}), exempt({ pods: "-i cali+" })].map((rules) => rules.length)).toEqual([0, 1, 1]);
});

test("invalid packets are dropped unless conntrack is liberal", () => {
  const first = (dropInvalid: boolean, name: string) => chain({ dropInvalid }, name, "filter")[0];
  // Of forwarded packets only the answers of endpoints are checked.
  expect(first(true, "KUBE-FORWARD")).toBe(
    "-m conntrack --ctstate INVALID -m set --match-set KUBE-LOOP-BACK src,src,src -j DROP",
  );
  expect(first(true, "KUBE-IPVS-FILTER")).toBe("-p tcp -m conntrack --ctstate INVALID -j KUBE-IPVS-INVALID");
  const rules = proxyRules({ ...OPTIONS, dropInvalid: false }).tables.flatMap(({ chains }) => chains);
  expect(rules.flatMap((one) => one.rules).filter((rule) => rule.includes("INVALID"))).toEqual([]);
});

test("health checks are accepted over TCP alone (G-69)", () => {
  const rules = proxyRules(OPTIONS).tables.flatMap(({ chains }) => chains.flatMap((one) => one.rules));
  const letIn = rules.filter((rule) => rule.includes("KUBE-HEALTH-CHECK-NODE-PORT"));
  expect(letIn.map((rule) => rule.slice(0, 7))).toEqual(["-p tcp ", "-p tcp "]);
});

test("the host's own INPUT rules run before our rules accept", () => {
  const jumps = proxyRules(OPTIONS).tables.flatMap((table) => table.jumps);
  const last = jumps.filter(({ place }) => place === "last");
  expect(last).toEqual([
    expect.objectContaining({ from: "INPUT", rule: expect.stringMatching(/-j KUBE-IPVS-ACCEPT$/) }),
  ]);
  const elsewhere = proxyRules(OPTIONS).tables.filter(({ name }) => name === "filter");
  const accepting = elsewhere.flatMap(({ chains }) =>
    chains.filter(({ rules }) => rules.some((rule) => rule.endsWith("-j ACCEPT"))).map(({ name }) => name),
  );
  expect(accepting.sort()).toEqual(["KUBE-FORWARD", "KUBE-IPVS-ACCEPT", "KUBE-NODE-PORT"]);
});

test("cleanup removes every chain that we create", () => {
  for (const { name, chains } of proxyRules(OPTIONS).tables) {
    expect(PROXY_CHAINS[name]).toEqual(expect.arrayContaining(chains.map((one) => one.name)));
  }
});
