import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Outcome } from "../../../../src/kernel/kernel.ts";
import { ipset, ipsets, portEntry, type SetEntry } from "../../../../src/model/kernel/ipset.ts";
import { setup, vip, vips } from "./set-client.ts";

const IPS = ipset("KUBE-IPVS-IPS", "IPv4");
const CLUSTER = ipset("KUBE-CLUSTER-IP", "IPv4");
const PORTS = ipset("KUBE-NODE-PORT-TCP", "IPv4");
const add = (entry: SetEntry) => ({ kind: "add-entry", entry }) as const;
const errnos = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.map((outcome) => (outcome.ok ? "" : outcome.errno));

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
