import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { IPSetClient } from "../../../../src/kernel/ipset/client.ts";
import { ipsetErrno } from "../../../../src/kernel/ipset/constants.ts";
import type { Outcome } from "../../../../src/kernel/kernel.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import type { IPAddress } from "../../../../src/model/address.ts";
import {
  addressEntry,
  addressPortAddressEntry,
  addressPortEntry,
  type IPSet,
  ipset,
  ipsets,
  portEntry,
  type SetEntry,
} from "../../../../src/model/kernel/ipset.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { FakeIPSetKernel } from "./fake-ipset-kernel.ts";

const ip = (text: string): IPAddress => text as IPAddress;
const IPS = ipset("KUBE-IPVS-IPS", "IPv4");
const CLUSTER = ipset("KUBE-CLUSTER-IP", "IPv4");
const CLUSTER6 = ipset("KUBE-CLUSTER-IP", "IPv6");
const LOOP = ipset("KUBE-LOOP-BACK", "IPv4");
const MARKS = ipset("KUBE-LOCAL-MARK", "IPv4");
const PORTS = ipset("KUBE-NODE-PORT-TCP", "IPv4");
const SETS = ipsets("IPv4");

const vip = (index: number): SetEntry => addressEntry(IPS, ip(`10.96.${index >> 8}.${index & 255}`));
const vips = (count: number): readonly SetEntry[] => Array.from({ length: count }, (_, index) => vip(index));
const add = (entry: SetEntry) => ({ kind: "add-entry", entry }) as const;
const del = (entry: SetEntry) => ({ kind: "delete-entry", entry }) as const;
const errnos = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.map((outcome) => (outcome.ok ? "" : outcome.errno));

function setup() {
  const kernel = new FakeIPSetKernel();
  const counters = new NetlinkCounters();
  const socket = (messageBytes: number) =>
    new NetlinkSocket({ protocol: 12, messageBytes, open: kernel.open, counters, nameOf: ipsetErrno });
  const sleeps: number[] = [];
  const during = { sleep: () => {} };
  const sleep = async (ms: number) => {
    sleeps.push(ms);
    during.sleep();
  };
  const client = new IPSetClient({ commands: socket(4096), dumps: socket(65_536), sleep });
  const list = async (sets: readonly IPSet[]) => {
    const entries: SetEntry[] = [];
    for await (const part of client.list(sets)) entries.push(...part.values());
    return entries;
  };
  const texts = async (set = IPS) => (await list([set])).map(({ text }) => text).sort();
  return { kernel, client, list, texts, sleeps, during };
}

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

describe("a full set", () => {
  test("grows as often as needed while rules refer to it, and keeps its members", async () => {
    const { kernel, client, texts } = setup();
    kernel.set("KUBE-IPVS-IPS", { maxElements: 2, references: 3 });
    await client.ensure([IPS]);
    await client.apply([add(vip(0))]);
    expect(errnos(await client.apply(vips(9).map(add)))).toEqual(["EEXIST", "", "", "", "", "", "", "", ""]);
    expect(await texts()).toEqual(vips(9).map(({ text }) => text));
    expect([...kernel.sets]).toMatchObject([["KUBE-IPVS-IPS", { maxElements: 16, references: 3 }]]);
  });

  test("grows while it is listed repeatedly", async () => {
    const { kernel, client, list, texts } = setup();
    kernel.set("KUBE-IPVS-IPS", { maxElements: 2 });
    await client.ensure([IPS]);
    let isApplied = false;
    const resyncs = (async () => {
      while (!isApplied) await list([IPS]);
    })();
    const outcomes = await client.apply(vips(9).map(add));
    isApplied = true;
    await resyncs;
    expect(errnos(outcomes)).toEqual(vips(9).map(() => ""));
    expect(await texts()).toHaveLength(9);
  });

  test("completes its growth before sets are prepared, which would delete its spare set", async () => {
    const { kernel, client } = setup();
    kernel.set("KUBE-IPVS-IPS", { maxElements: 2 });
    await client.ensure([IPS]);
    const applied = client.apply(vips(3).map(add));
    const [LIST, CREATE, SWAP] = [7, 2, 6];
    while (!kernel.commands.includes(CREATE)) await nextTurn();
    await Promise.all([applied, client.ensure([IPS])]);
    const growth = kernel.commands.slice(kernel.commands.indexOf(CREATE), kernel.commands.indexOf(SWAP));
    expect(growth).not.toContain(LIST);
    expect(kernel.commands.lastIndexOf(LIST)).toBeGreaterThan(kernel.commands.indexOf(SWAP));
  });

  test.each([
    ["created", 2],
    ["swapped in", 6],
  ])("stays as it is when a larger one cannot be %s, and only what does not fit is refused", async (_, command) => {
    const { kernel, client, texts } = setup();
    const set = kernel.set("KUBE-IPVS-IPS", { maxElements: 2 });
    await client.ensure([IPS, PORTS]);
    kernel.refuse.set(command, 12);
    const outcomes = await client.apply([...vips(4).map(add), add(portEntry(PORTS, 5))]);
    expect(errnos(outcomes)).toEqual(["", "", "IPSET_ERR_HASH_FULL", "IPSET_ERR_HASH_FULL", ""]);
    expect(await texts()).toEqual(["10.96.0.0", "10.96.0.1"]);
    expect(kernel.sets.get("KUBE-IPVS-IPS")).toBe(set);
    expect(kernel.sets.has("KUBE-IPVS-SPARE")).toBe(false);
  });
});

test("does not grow beyond sixteen million members", async () => {
  const { kernel, client } = setup();
  const set = kernel.set("KUBE-IPVS-IPS", { maxElements: 2 ** 24, room: 1 });
  await client.ensure([IPS]);
  expect(errnos(await client.apply(vips(2).map(add)))).toEqual(["", "IPSET_ERR_HASH_FULL"]);
  expect(kernel.sets.get("KUBE-IPVS-IPS")).toBe(set);
});

test("does not grow for a port outside the range of a foreign set, which is reported", async () => {
  const { kernel, client } = setup();
  kernel.set("KUBE-NODE-PORT-TCP", { type: "bitmap:port", family: 0, room: 0 });
  await client.ensure([PORTS]);
  expect(errnos(await client.apply([add(portEntry(PORTS, 80))]))).toEqual(["IPSET_ERR_BITMAP_RANGE"]);
  expect(kernel.commands).not.toContain(2);
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

test("resetSizes gives the sets of kube-proxy its size, keeps the members, and reports those without room", async () => {
  const { kernel, client } = setup();
  const set = ipset("KUBE-CLUSTER-IP", "IPv4");
  kernel.set(set.name, { type: "hash:ip,port", maxElements: 131_072, references: 1 });
  kernel.set(ipset("KUBE-EXTERNAL-IP", "IPv4").name, { type: "hash:ip,port" });
  const report = await client.resetSizes([set, ipset("KUBE-EXTERNAL-IP", "IPv4"), ipset("KUBE-DROP", "IPv4")]);
  expect(report).toEqual({ changed: [`replaced set "${set.name}" by one for 65536 members`], warnings: [] });
  expect(kernel.sets.get(set.name)?.maxElements).toBe(65_536);
  expect([...kernel.sets.keys()]).toEqual([set.name, "KUBE-EXTERNAL-IP"]);
});

test("the fill of a set is its members, its limit and how far it can grow; a set of ports and a foreign set have none", async () => {
  const { kernel, client } = setup();
  await client.ensure([IPS, CLUSTER]);
  kernel.set("KUBE-NODE-PORT-TCP", { type: "bitmap:port", family: 0, maxElements: 0 });
  kernel.set("OTHER", {});
  await client.apply([add(vip(1)), add(vip(2))]);
  expect(await client.fills(ipsets("IPv4"))).toEqual(
    [
      { name: CLUSTER.name, members: 0, limit: 65_536, hardLimit: 2 ** 24 },
      { name: IPS.name, members: 2, limit: 65_536, hardLimit: 2 ** 24 },
    ].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  );
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
