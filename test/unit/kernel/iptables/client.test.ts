import { describe, expect, test } from "vitest";
import { IptablesClient } from "../../../../src/kernel/iptables/client.ts";
import type { RuleTable } from "../../../../src/model/kernel/rules.ts";
import { FakeIptables, FILTER, JUMP, NAT, NOTHING, RULES, setup } from "./fake-iptables.ts";

test("tables of rules are written once by one restore for each family, and a warm restart starts no restore", async () => {
  const { fake, client, restores } = await setup();
  expect((await client.apply(RULES)).changed).toEqual([
    'wrote table "nat" of IPv4',
    'wrote table "filter" of IPv4',
    'wrote table "nat" of IPv6',
  ]);
  expect(restores().sort()).toEqual(["ip6tables-restore --noflush -w 5", "iptables-restore --noflush -w 5"]);
  expect(fake.table("iptables", "nat").get("KUBE-SERVICES")).toEqual(NAT.chains[0]?.rules);
  const restarted = await setup(fake);
  expect(await restarted.client.apply(RULES)).toMatchObject(NOTHING);
  expect(restarted.restores()).toEqual([]);
});

test("unchanged rules cost one program for each family, for any number of tables", async () => {
  const { client, ran } = await setup();
  await client.apply(RULES);
  await client.apply(RULES);
  ran();
  await client.apply(RULES);
  expect(ran().toSorted()).toEqual(["ip6tables-save", "iptables-save"]);
});

test("a family that cannot be read is reported, and nothing of it is written", async () => {
  const { fake, client, restores } = await setup();
  // What was read to find the backend is used once.
  await client.differences(RULES);
  fake.working.delete("iptables");
  const { changed, failures } = await client.apply(RULES);
  expect(changed).toEqual(['wrote table "nat" of IPv6']);
  expect(failures.map(({ message }) => message)).toEqual([
    "Cannot read iptables rules of IPv4: iptables-save: not found",
  ]);
  expect(restores()).toEqual(["ip6tables-restore --noflush -w 5"]);
});

test("each table is as desired, or not if its family cannot be read", async () => {
  const { fake, client } = await setup();
  const states = async () =>
    (await client.apply(RULES)).tables?.map(({ family, table, isDesired }) => `${family} ${table} ${isDesired}`);
  expect(await states()).toEqual(["IPv4 nat true", "IPv4 filter true", "IPv6 nat true"]);
  expect(await states()).toEqual(["IPv4 nat true", "IPv4 filter true", "IPv6 nat true"]);
  fake.working.delete("iptables");
  expect(await states()).toEqual(["IPv4 nat false", "IPv4 filter false", "IPv6 nat true"]);
});

test("our rules that another program changed are written again, and foreign rules stay", async () => {
  const { fake, client } = await setup();
  await client.apply(RULES);
  const nat = fake.table("iptables", "nat");
  nat.set("KUBE-SERVICES", []).set("OTHERS", ["-j DROP"]).get("OUTPUT")?.push("-j OTHERS");
  expect((await client.apply(RULES)).changed).toEqual(['wrote table "nat" of IPv4']);
  expect(Object.fromEntries(nat)).toMatchObject({
    "KUBE-SERVICES": NAT.chains[0]?.rules,
    OTHERS: ["-j DROP"],
    OUTPUT: [JUMP, "-j OTHERS"],
  });
});

test("our jump moves above a foreign rule once, and stays below when that returns", async () => {
  const { fake, client } = await setup();
  await client.apply(RULES);
  const output = () => fake.table("iptables", "nat").get("OUTPUT") ?? [];
  output().unshift("-j STRONG");
  expect((await client.apply(RULES)).changed).toEqual(['wrote table "nat" of IPv4']);
  expect(output()).toEqual([JUMP, "-j STRONG"]);
  output().reverse();
  expect(await client.apply(RULES)).toMatchObject(NOTHING);
  output().unshift("-j NEW");
  expect((await client.apply(RULES)).changed).toHaveLength(1);
  expect(output()).toEqual([JUMP, "-j NEW", "-j STRONG"]);
  output().reverse();
  expect(output()).toEqual(["-j STRONG", "-j NEW", JUMP]);
  expect(await client.apply(RULES)).toMatchObject(NOTHING);
});

test("a jump below a foreign rule is no difference in diff", async () => {
  const { fake, client } = await setup();
  await client.apply(RULES);
  const output = fake.table("iptables", "nat").get("OUTPUT");
  output?.unshift("-j STRONG");
  expect(await client.differences(RULES)).toEqual(NOTHING);
  output?.pop();
  expect((await client.differences(RULES)).changed).toHaveLength(1);
});

test("rules that a program prints in another form are not rewritten forever", async () => {
  const { fake, client } = await setup();
  fake.print = (rule) => rule.replace("-j ACCEPT", "-j accept");
  expect((await client.apply(RULES)).changed).toHaveLength(3);
  expect(await client.apply(RULES)).toMatchObject(NOTHING);
  fake.table("iptables", "nat").get("KUBE-SERVICES")?.pop();
  expect((await client.apply(RULES)).changed).toEqual(['wrote table "nat" of IPv4']);
  const other = {
    IPv4: { tables: [{ ...FILTER, chains: [{ name: "KUBE-FORWARD", rules: ["-j ACCEPT", "-j ACCEPT"] }] }] },
  };
  expect((await client.apply(other)).changed).toEqual(['wrote table "filter" of IPv4']);
});

test("rules that another program removes between the write and the next reading are written again", async () => {
  const fake = new FakeIptables();
  let isFlushed = false;
  const client = new IptablesClient({
    hasLegacyTables: fake.hasLegacyTables,
    run: async (file, args, options) => {
      const result = await fake.run(file, args, options);
      if (file.includes("iptables-restore") && !isFlushed) {
        isFlushed = true;
        fake.table("iptables", "nat").delete("KUBE-SERVICES");
        fake.table("iptables", "nat").set("OUTPUT", []);
      }
      return result;
    },
  });
  await client.find(["IPv4", "IPv6"]);
  await client.apply(RULES);
  expect(fake.table("iptables", "nat").get("OUTPUT")).toEqual([]);
  expect((await client.apply(RULES)).changed).toEqual(['wrote table "nat" of IPv4']);
  expect(fake.table("iptables", "nat").get("KUBE-SERVICES")).toEqual(NAT.chains[0]?.rules);
});

test("our jump at the end of a chain moves behind a foreign rule each time", async () => {
  const { fake, client } = await setup();
  const last = { from: "INPUT", rule: "-j KUBE-FORWARD", place: "last" } as const;
  const rules = { IPv4: { tables: [{ ...FILTER, jumps: [last] }] } };
  await client.apply(rules);
  const input = () => fake.table("iptables", "filter").get("INPUT") ?? [];
  for (let times = 0; times < 3; times++) {
    input().push("-j DENY");
    expect((await client.apply(rules)).changed).toEqual(['wrote table "filter" of IPv4']);
    expect(input().at(-1)).toBe("-j KUBE-FORWARD");
    input().splice(input().indexOf("-j DENY"), 1);
  }
});

test("a table that fails is reported with its line, and the others are written", async () => {
  const { client } = await setup();
  const bad: RuleTable = { ...NAT, chains: [{ name: "KUBE-SERVICES", rules: ["-j ACCEPT", "-m nosuch -j DROP"] }] };
  const { changed, failures } = await client.apply({ ...RULES, IPv4: { tables: [bad, FILTER] } });
  expect(changed).toEqual(['wrote table "filter" of IPv4', 'wrote table "nat" of IPv6']);
  expect(failures).toMatchObject([
    {
      family: "IPv4",
      line: "-A KUBE-SERVICES -m nosuch -j DROP",
      stderr: expect.stringContaining("no such thing"),
    },
  ]);
  expect(failures[0]?.message).toMatch(/^Cannot write iptables table "nat" of IPv4: restore: no such thing/);
});

test("a family whose program does not work is skipped", async () => {
  const fake = new FakeIptables();
  for (const program of fake.working) if (program.startsWith("ip6")) fake.working.delete(program);
  const { client, ran } = await setup(fake);
  expect(await client.apply({ IPv6: RULES.IPv6 })).toMatchObject(NOTHING);
  expect(ran()).toEqual([]);
});

test("an old restore gets no option to wait for the lock", async () => {
  const fake = new FakeIptables();
  fake.version = "1.6.1";
  const { client, restores } = await setup(fake);
  expect((await client.apply({ IPv6: RULES.IPv6 })).changed).toHaveLength(1);
  expect(restores()).toEqual(["ip6tables-restore --noflush"]);
});

describe("remove", () => {
  const CHAINS = { nat: ["KUBE-SERVICES", "KUBE-NODE-PORT"], filter: ["KUBE-FORWARD"] };

  test("removes our chains and jumps and nothing else", async () => {
    const { fake, client } = await setup();
    await client.apply(RULES);
    fake.table("iptables", "nat").set("OTHERS", ["-j DROP"]);
    expect((await client.remove(["IPv4", "IPv6"], CHAINS)).changed).toEqual([
      'removed the chains of kube-ipvs from table "nat" of IPv4',
      'removed the chains of kube-ipvs from table "filter" of IPv4',
      'removed the chains of kube-ipvs from table "nat" of IPv6',
    ]);
    expect(Object.fromEntries(fake.table("iptables", "nat"))).toEqual({
      PREROUTING: [],
      OUTPUT: [],
      POSTROUTING: [],
      OTHERS: ["-j DROP"],
    });
  });

  test("writes nothing if there is nothing to remove", async () => {
    const { client, restores } = await setup();
    expect(await client.remove(["IPv4", "IPv6"], CHAINS)).toEqual(NOTHING);
    expect(restores()).toEqual([]);
  });

  test("removed rules are written again when they are desired again", async () => {
    const { fake, client } = await setup();
    fake.print = (rule) => rule.replace("-j ACCEPT", "-j accept");
    await client.apply(RULES);
    await client.remove(["IPv4", "IPv6"], CHAINS);
    expect((await client.apply(RULES)).changed).toHaveLength(3);
  });
});
