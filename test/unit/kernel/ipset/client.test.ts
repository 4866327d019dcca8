import { describe, expect, test } from "vitest";
import type { Outcome } from "../../../../src/kernel/kernel.ts";
import type { IPAddress } from "../../../../src/model/address.ts";
import {
  addressPortAddressEntry,
  addressPortEntry,
  ipset,
  ipsets,
  portEntry,
  type SetEntry,
} from "../../../../src/model/kernel/ipset.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { setup, vip, vips } from "./set-client.ts";

const ip = (text: string): IPAddress => text as IPAddress;
const IPS = ipset("KUBE-IPVS-IPS", "IPv4");
const CLUSTER = ipset("KUBE-CLUSTER-IP", "IPv4");
const CLUSTER6 = ipset("KUBE-CLUSTER-IP", "IPv6");
const LOOP = ipset("KUBE-LOOP-BACK", "IPv4");
const MARKS = ipset("KUBE-LOCAL-MARK", "IPv4");
const PORTS = ipset("KUBE-NODE-PORT-TCP", "IPv4");
const SETS = ipsets("IPv4");
const add = (entry: SetEntry) => ({ kind: "add-entry", entry }) as const;
const del = (entry: SetEntry) => ({ kind: "delete-entry", entry }) as const;
const errnos = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.map((outcome) => (outcome.ok ? "" : outcome.errno));

describe("ensure", () => {
  test("creates missing sets with the sizes of kube-proxy, and nothing the second time", async () => {
    const { kernel, client } = setup();
    const report = await client.ensure(SETS);
    expect(report.changed).toEqual(SETS.map(({ name }) => `created set "${name}"`));
    expect(kernel.sets.get("KUBE-CLUSTER-IP")).toMatchObject({
      type: "hash:ip,port",
      family: 2,
      maxElements: 65_536,
      hashSize: 1024,
    });
    expect(kernel.sets.get("KUBE-NODE-PORT-TCP")).toMatchObject({ type: "bitmap:port", family: 0 });
    expect(await client.ensure(SETS)).toEqual({ changed: [], warnings: [], blocked: false });
  });

  test("accepts a set of the right type with any size", async () => {
    const { kernel, client } = setup();
    const found = kernel.set("KUBE-IPVS-IPS", { maxElements: 7, hashSize: 64 });
    await client.ensure(SETS);
    expect(kernel.sets.get("KUBE-IPVS-IPS")).toBe(found);
  });

  test.each([
    ["type", { type: "hash:net" }],
    ["family", { type: "hash:ip,port", family: 10 }],
  ])("replaces a set of another %s that no rule refers to", async (_, wrong) => {
    const { kernel, client } = setup();
    kernel.set("KUBE-CLUSTER-IP", wrong);
    expect((await client.ensure([CLUSTER])).changed).toEqual(['created set "KUBE-CLUSTER-IP"']);
    expect(kernel.sets.get("KUBE-CLUSTER-IP")).toMatchObject({ type: "hash:ip,port", family: 2 });
  });

  test("replaces a set without marks that must have them, under the rules that refer to it", async () => {
    const { kernel, client } = setup();
    kernel.set("KUBE-LOCAL-MARK", { type: "hash:ip,port", references: 2, members: new Map([["", [1]]]) });
    expect(await client.ensure([MARKS])).toEqual({
      changed: ['replaced set "KUBE-LOCAL-MARK"'],
      warnings: [],
      blocked: false,
    });
    expect([...kernel.sets]).toMatchObject([["KUBE-LOCAL-MARK", { extensions: 0x40, references: 2 }]]);
    expect(await client.ensure([MARKS])).toMatchObject({ changed: [] });
  });

  test("accepts a set with additional extensions", async () => {
    const { kernel, client } = setup();
    const found = kernel.set("KUBE-IPVS-IPS", { extensions: 0x48 });
    expect(await client.ensure([IPS])).toMatchObject({ changed: [] });
    expect(kernel.sets.get("KUBE-IPVS-IPS")).toBe(found);
  });

  test("reports set, actual and desired type if a rule uses a set of another type, and fails only its entries", async () => {
    const { kernel, client } = setup();
    kernel.set("KUBE-CLUSTER-IP", { type: "hash:ip", references: 1 });
    const { warnings, blocked } = await client.ensure(SETS);
    expect(blocked).toBe(true);
    expect(warnings).toEqual([
      'Cannot replace set "KUBE-CLUSTER-IP": it is "hash:ip" of family 2 instead of "hash:ip,port" of family 2, and it cannot be destroyed: IPSET_ERR_BUSY',
    ]);
    const outcomes = await client.apply([add(addressPortEntry(CLUSTER, ip("10.96.0.1"), "TCP", 80)), add(vip(1))]);
    expect(errnos(outcomes)).toEqual(["IPSET_ERR_TYPE_MISMATCH", ""]);
    expect(kernel.sets.get("KUBE-CLUSTER-IP")?.members.size).toBe(0);
  });

  test("reports a type that the kernel lacks, and fails entries with this reason until it has it", async () => {
    const { kernel, client } = setup();
    kernel.refuse.set(2, 4098);
    const { warnings } = await client.ensure([IPS]);
    expect(warnings).toEqual(['Cannot create set "KUBE-IPVS-IPS" of type "hash:ip": IPSET_ERR_FIND_TYPE']);
    expect(errnos(await client.apply([add(vip(1))]))).toEqual(["IPSET_ERR_FIND_TYPE"]);
    kernel.refuse.clear();
    await client.ensure([IPS]);
    expect(errnos(await client.apply([add(vip(1))]))).toEqual([""]);
  });

  test("removes the set that an interrupted growth left", async () => {
    const { kernel, client } = setup();
    kernel.set("KUBE-IPVS-SPARE", {});
    await client.ensure(SETS);
    expect(kernel.sets.has("KUBE-IPVS-SPARE")).toBe(false);
  });

  test.each([
    [{ highest: 5, lowest: 5 }, "EPROTONOSUPPORT"],
    [{ highest: 9, lowest: 8 }, "EPROTONOSUPPORT"],
  ])("rejects when the kernel speaks %j", async (versions, code) => {
    const { kernel, client } = setup();
    kernel.versions = versions;
    await expect(client.ensure(SETS)).rejects.toMatchObject({ code });
  });
});

describe("apply", () => {
  test("members of every type are read as the added entries", async () => {
    const { client, list } = setup();
    await client.ensure([...SETS, ...ipsets("IPv6")]);
    const entries = [
      vip(1),
      addressPortEntry(CLUSTER, ip("10.96.0.1"), "TCP", 443),
      addressPortEntry(CLUSTER, ip("10.96.0.1"), "UDP", 53),
      addressPortEntry(CLUSTER, ip("10.96.0.1"), "SCTP", 7),
      addressPortEntry(CLUSTER6, ip("fd00::a"), "TCP", 443),
      addressPortAddressEntry(LOOP, ip("10.244.0.1"), "TCP", 80, ip("10.244.0.1")),
      portEntry(PORTS, 30_080),
      portEntry(PORTS, 0),
    ];
    expect(errnos(await client.apply(entries.map(add)))).toEqual(entries.map(() => ""));
    const listed = await list([...SETS, ...ipsets("IPv6")]);
    expect(listed).toEqual(expect.arrayContaining(entries));
    expect(listed).toHaveLength(entries.length);
  });

  test("a failed entry does not delay the next ones in its message", async () => {
    const { client, texts } = setup();
    await client.ensure([IPS]);
    await client.apply([add(vip(2)), add(vip(4))]);
    const outcomes = await client.apply(vips(6).map(add));
    expect(errnos(outcomes)).toEqual(["", "", "EEXIST", "", "EEXIST", ""]);
    expect(await texts()).toEqual(vips(6).map(({ text }) => text));
  });

  test("deleting an absent member fails with ENOENT, also for the last member of a message", async () => {
    const { client } = setup();
    await client.ensure([IPS]);
    await client.apply([add(vip(1))]);
    expect(errnos(await client.apply([del(vip(1)), del(vip(2))]))).toEqual(["", "ENOENT"]);
  });

  test("operations on one member are applied in order", async () => {
    const { client, texts } = setup();
    await client.ensure([IPS]);
    const outcomes = await client.apply([add(vip(1)), del(vip(1)), add(vip(1)), add(vip(1)), del(vip(3))]);
    expect(errnos(outcomes)).toEqual(["", "", "", "EEXIST", "ENOENT"]);
    expect(await texts()).toEqual(["10.96.0.1"]);
  });

  test("entries of a missing set fail with ENOENT, those of other sets succeed", async () => {
    const { client } = setup();
    await client.ensure([PORTS]);
    expect(errnos(await client.apply([add(vip(1)), add(portEntry(PORTS, 1)), del(vip(2))]))).toEqual([
      "ENOENT",
      "",
      "ENOENT",
    ]);
  });

  test("a failed entry is identified by its line even if the returned request is truncated", async () => {
    const { kernel, client } = setup();
    await client.ensure([IPS]);
    await client.apply([add(vip(777))]);
    const outcomes = await client.apply(vips(1200).map(add));
    expect(outcomes.flatMap((outcome, index) => (outcome.ok ? [] : [[index, outcome.errno]]))).toEqual([
      [777, "EEXIST"],
    ]);
    expect(kernel.sets.get("KUBE-IPVS-IPS")?.members.size).toBe(1200);
  });

  test("a message has hundreds of entries", async () => {
    const { kernel, client } = setup();
    await client.ensure([IPS]);
    await client.apply(vips(1000).map(add));
    expect(kernel.commands.filter((command) => command === 9)).toHaveLength(2);
  });
});

describe("list and destroy", () => {
  test("a set that is missing or has another type has no entries", async () => {
    const { kernel, list } = setup();
    kernel.set("KUBE-IPVS-IPS", { type: "hash:net", members: new Map([["", [1, 2, 3]]]) });
    expect(await list(SETS)).toEqual([]);
  });

  test("a failed listing rejects and never returns a part", async () => {
    const { kernel, client, list } = setup();
    await client.ensure(SETS);
    kernel.refuse.set(7, 1);
    await expect(list(SETS)).rejects.toMatchObject({ code: "EPERM" });
  });

  test("sets are destroyed with their members, missing ones are ignored, one in use stays with a warning", async () => {
    const { kernel, client } = setup();
    await client.ensure([IPS, PORTS, CLUSTER]);
    await client.apply([add(vip(1))]);
    kernel.set("KUBE-CLUSTER-IP", { references: 1 });
    kernel.set("others", {});
    expect(await client.destroy(SETS)).toEqual({
      changed: ['destroyed set "KUBE-NODE-PORT-TCP"', 'destroyed set "KUBE-IPVS-IPS"'],
      warnings: ['Cannot destroy set "KUBE-CLUSTER-IP": IPSET_ERR_BUSY'],
    });
    expect([...kernel.sets.keys()].sort()).toEqual(["KUBE-CLUSTER-IP", "others"]);
  });

  test("the spare set of an agent that was killed during a growth is destroyed", async () => {
    const { kernel, client } = setup();
    await client.ensure(SETS);
    kernel.set("KUBE-IPVS-SPARE", {});
    expect(await client.destroy([IPS])).toEqual({
      changed: ['destroyed set "KUBE-IPVS-IPS"', 'destroyed set "KUBE-IPVS-SPARE"'],
      warnings: [],
    });
    expect([...kernel.sets.keys()].toSorted()).toEqual(
      SETS.flatMap(({ name }) => (name === IPS.name ? [] : [name as string])).toSorted(),
    );
  });

  test("a set that is in use for a short time is waited for", async () => {
    const { kernel, client, sleeps, during } = setup();
    const set = kernel.set("KUBE-IPVS-IPS", { references: 1 });
    during.sleep = () => {
      if (sleeps.length === 3) set.references = 0;
    };
    expect((await client.destroy(SETS)).changed).toEqual(['destroyed set "KUBE-IPVS-IPS"']);
    expect(sleeps).toEqual([50, 50, 50]);
  });
});

test("the kernel is asked whether a packet is in a set of another program", async () => {
  const { kernel, client } = setup();
  for (const [name, type] of [
    ["BLOCKED", "hash:net"],
    ["PORTS", "hash:ip,port"],
    ["MACS", "hash:mac"],
    ["BROKEN", "hash:ip"],
  ])
    kernel.set(name ?? "", { type: type ?? "" });
  kernel.testAnswers.set("BLOCKED", 0).set("BROKEN", 22);
  const ends = [
    { address: ip("10.0.0.1"), port: 40_000 },
    { address: ip("10.96.0.1"), port: 80 },
  ];
  const sets = ["BLOCKED", "PORTS", "MACS", "BROKEN", "ABSENT"];
  const found = await client.contain(sets.map((set) => ({ set, ends, protocol: "UDP" })));
  expect(found).toEqual([true, false, undefined, undefined, undefined]);
  const address = naive.nested(1, naive.attribute(1 + 0x4000, [10, 0, 0, 1]));
  expect(kernel.tested.slice(0, 2)).toEqual([
    { name: "BLOCKED", data: address },
    {
      name: "PORTS",
      data: [...address, ...naive.attribute(4 + 0x4000, naive.be16(80)), ...naive.attribute(7, [17])],
    },
  ]);
});
