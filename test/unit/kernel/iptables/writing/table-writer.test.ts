import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { IptablesClient } from "../../../../../src/kernel/iptables/client.ts";
import type { RunProcess } from "../../../../../src/kernel/run-process.ts";
import type { RuleTable } from "../../../../../src/model/kernel/rules.ts";
import { FakeIptables, FILTER, NAT, RULES, setup } from "../fake-iptables.ts";

const BAD: RuleTable = { ...FILTER, chains: [{ name: "KUBE-FORWARD", rules: ["-m nosuch -j DROP"] }] };

test("a table that is refused stays without effect on the tables of its family and on the other family", async () => {
  const { fake, client, restores } = await setup();
  const { changed, failures, tables } = await client.apply({ ...RULES, IPv4: { tables: [BAD, NAT] } });
  expect(changed).toEqual(['wrote table "nat" of IPv4', 'wrote table "nat" of IPv6']);
  expect(failures).toMatchObject([{ family: "IPv4", line: "-A KUBE-FORWARD -m nosuch -j DROP" }]);
  expect(tables?.map(({ family, table, isDesired }) => `${family} ${table} ${isDesired}`)).toEqual([
    "IPv4 filter false",
    "IPv4 nat true",
    "IPv6 nat true",
  ]);
  expect(fake.table("iptables", "nat").get("KUBE-SERVICES")).toEqual(NAT.chains[0]?.rules);
  expect(restores().toSorted()).toEqual([
    "ip6tables-restore --noflush -w 5",
    "iptables-restore --noflush -w 5",
    "iptables-restore --noflush -w 5",
  ]);
});

test("a hanging program of one family does not delay the other", async () => {
  const fake = new FakeIptables();
  const hanging = Promise.withResolvers<void>();
  const run: RunProcess = async (file, args, input) => {
    if (file === "iptables-restore") await hanging.promise;
    return fake.run(file, args, input);
  };
  const client = new IptablesClient({ run, hasLegacyTables: fake.hasLegacyTables });
  await client.find(["IPv4", "IPv6"]);
  const applied = client.apply(RULES);
  for (let turn = 0; turn < 5; turn++) await setImmediate();
  expect(fake.table("ip6tables", "nat").has("KUBE-SERVICES")).toBe(true);
  hanging.resolve();
  expect((await applied).changed).toHaveLength(3);
});
