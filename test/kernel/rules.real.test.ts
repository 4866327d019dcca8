import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeSetup, Outcome, StepReport } from "../../src/kernel/kernel.ts";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { type IPFamily, parseAddress } from "../../src/model/address.ts";
import { addressEntry, ipset, markEntry, type SetEntry } from "../../src/model/kernel/ipset.ts";
import type { RuleTable } from "../../src/model/kernel/rules.ts";
import { Shell } from "../support/node/shell.ts";
import { address } from "../support/objects/desired.ts";

const OK: Outcome = { ok: true };
const CHAIN = "KUBE-MARK-TEST";
const FIRST = '-m comment --comment "ours first" -j KUBE-MARK-TEST';
const LAST = '-m comment --comment "ours last" -j KUBE-MARK-TEST';

const MARKS = ipset("KUBE-LOCAL-MARK", "IPv4").name;
/** Rules that refer to sets in all ways of our rules. Of one family, as each start of a program takes long in a guest. */
const SETUP: NodeSetup = {
  families: ["IPv4"],
  sysctls: [],
  rules: {
    IPv4: {
      tables: [
        {
          name: "mangle",
          chains: [
            {
              name: CHAIN,
              rules: [
                `-m set --match-set ${MARKS} dst,dst -j SET --map-set ${MARKS} dst,dst --map-mark`,
                "-m set --match-set KUBE-IPVS-IPS dst -j RETURN",
              ],
            },
          ],
          jumps: [
            { from: "INPUT", rule: FIRST },
            { from: "INPUT", rule: LAST, place: "last" },
          ],
        },
      ],
    },
  },
};

let kernel: NetlinkKernel;
let shell: Shell;
beforeEach(() => {
  kernel = new NetlinkKernel({ chains: { mangle: [CHAIN] } });
  shell = new Shell();
});
afterEach(async () => {
  await shell.run("iptables -t mangle -F INPUT");
  await kernel.remove(["IPv4"]);
  await kernel.close();
  await shell[Symbol.asyncDispose]();
});

/** Prepares the node with its rules, as the agent does; returns the changes and the failures. */
async function made(on: NetlinkKernel): Promise<StepReport> {
  const node = await on.prepare(SETUP);
  const rules = await on.writeRules(SETUP);
  return {
    changed: [...node.changed.map(({ text }) => text), ...rules.changed],
    warnings: [...node.warnings, ...rules.failures.map(({ message }) => message)],
  };
}

/** INPUT as iptables-save prints it: FIRST, LAST, or foreign rules. */
async function input(): Promise<readonly string[]> {
  const lines = (await shell.run("iptables-save -t mangle")).split("\n").filter((line) => line.startsWith("-A INPUT "));
  const words = [["ours first", "FIRST"] as const, ["ours last", "LAST"] as const];
  return lines.map((line) => words.find(([comment]) => line.includes(comment))?.[1] ?? line.replace("-A INPUT ", ""));
}

test("jumps are placed at both ends of a chain, move before foreign rules once, and then stay", async () => {
  await shell.run("iptables -t mangle -A INPUT -p tcp -j ACCEPT");
  await made(kernel);
  expect(await input()).toEqual(["FIRST", "-p tcp -j ACCEPT", "LAST"]);
  await shell.run("iptables -t mangle -I INPUT -p udp -j ACCEPT; iptables -t mangle -A INPUT -j DROP");
  expect((await made(kernel)).changed).toHaveLength(1);
  expect(await input()).toEqual(["FIRST", "-p udp -j ACCEPT", "-p tcp -j ACCEPT", "-j DROP", "LAST"]);
  await shell.run("iptables -t mangle -D INPUT -p udp -j ACCEPT; iptables -t mangle -I INPUT -p udp -j ACCEPT");
  expect((await made(kernel)).changed).toEqual([]);
  expect(await input()).toEqual(["-p udp -j ACCEPT", "FIRST", "-p tcp -j ACCEPT", "-j DROP", "LAST"]);
});

test.each([
  ["cannot be read", "-m set --match-set KUBE-NO-SUCH-SET dst -j RETURN"],
  ["is refused by the kernel", "-j MASQUERADE"],
])("a rule that %s is named, and the tables before and behind it are written", async (_, rule) => {
  const table = (name: RuleTable["name"], text: string): RuleTable => ({
    name,
    chains: [{ name: CHAIN, rules: ["-p tcp -j RETURN", text] }],
    jumps: [{ from: "OUTPUT", rule: FIRST }],
  });
  const tables = [table("mangle", "-j RETURN"), table("filter", rule), table("nat", "-j RETURN")];
  const { changed, failures } = await kernel.writeRules({ ...SETUP, rules: { IPv4: { tables } } });
  await shell.run(`iptables -t nat -F OUTPUT; iptables -t nat -F ${CHAIN}; iptables -t nat -X ${CHAIN}`);
  await shell.run("iptables -t mangle -F OUTPUT");
  expect(changed).toEqual(['wrote table "mangle" of IPv4', 'wrote table "nat" of IPv4']);
  expect(failures.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^Cannot write iptables table "filter" of IPv4: .*\(line "(-A KUBE-MARK-TEST -[mj] .*|COMMIT)"\)$/s,
    ),
  ]);
});

describe("sets", () => {
  const members = (family: IPFamily, count: number): readonly SetEntry[] =>
    Array.from({ length: count }, (_, index) => {
      const ip = parseAddress(family === "IPv4" ? `192.0.2.${index}` : `2001:db8::${index}`);
      return markEntry(ipset("KUBE-LOCAL-MARK", family), ip ?? address("::"), "TCP", 80, 0x1000 + index, 0x107f);
    });
  const printed = async (name: string) =>
    (await shell.run(`ipset save ${name}`)).split("\n").filter((line) => line.startsWith("add "));

  test.each<IPFamily>(["IPv4", "IPv6"])("one of %s grows with the marks of its members", async (family) => {
    const unruled = new NetlinkKernel({ chains: {} });
    const { name } = ipset("KUBE-LOCAL-MARK", family);
    const inet = family === "IPv4" ? "inet" : "inet6";
    await shell.run(`ipset create ${name} hash:ip,port family ${inet} maxelem 3 skbinfo`);
    await unruled.prepare({ families: [family], rules: {}, sysctls: [] });
    const entries = members(family, 9);
    const outcomes = await unruled.apply(entries.map((entry) => ({ kind: "add-entry", entry })));
    expect(outcomes).toEqual(entries.map(() => OK));
    const marks = entries.map(({ text }) => `add ${name} ${text}`);
    expect((await printed(name)).toSorted()).toEqual(marks.toSorted());
    expect(new Set((await unruled.observe("all")).entries.values())).toEqual(new Set(entries));
    await unruled.remove([family]);
    await unruled.close();
  });

  test("a set without marks is replaced in place", async () => {
    await made(kernel);
    await shell.run(
      [
        "ipset create plain hash:ip,port counters",
        "ipset add plain 192.0.2.1,tcp:80",
        "ipset swap plain KUBE-LOCAL-MARK",
        "ipset destroy plain",
      ].join("\n"),
    );
    expect((await made(kernel)).changed).toEqual(['replaced set "KUBE-LOCAL-MARK"']);
    const [entry] = members("IPv4", 1);
    if (entry === undefined) throw new Error("No member to try");
    expect(await kernel.apply([{ kind: "add-entry", entry }])).toEqual([OK]);
    expect(await printed(MARKS)).toEqual([`add KUBE-LOCAL-MARK ${entry.text}`]);
  });

  test("a set of another type that our rules use is replaced, and the rules are restored", async () => {
    await made(kernel);
    await kernel.remove(["IPv4"]);
    await shell.run(
      [
        "ipset create KUBE-IPVS-IPS hash:net",
        `iptables -t mangle -N ${CHAIN}`,
        `iptables -t mangle -A ${CHAIN} -m set --match-set KUBE-IPVS-IPS dst -j RETURN`,
        `iptables -t mangle -I INPUT -j ${CHAIN}`,
      ].join("\n"),
    );
    const { changed, warnings } = await made(kernel);
    expect(warnings).toEqual([]);
    expect(changed).toEqual(
      expect.arrayContaining([
        'removed the chains of kube-ipvs from table "mangle" of IPv4',
        'created set "KUBE-IPVS-IPS"',
        'wrote table "mangle" of IPv4',
      ]),
    );
    expect(await input()).toEqual(["FIRST", "LAST"]);
    const entry = addressEntry(ipset("KUBE-IPVS-IPS", "IPv4"), address("10.96.0.1"));
    expect(await kernel.apply([{ kind: "add-entry", entry }])).toEqual([OK]);
  });
});
