import { beforeEach, describe, expect, test } from "vitest";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { FAMILIES } from "../../src/model/address.ts";
import { ipset, ipsets, markEntry } from "../../src/model/kernel/ipset.ts";
import { address } from "../support/objects/desired.ts";
import { addEntry, deleteEntry, HOSTS, membersOf, OK, refusal, SETUP } from "./contract-objects.ts";

/** The contract of sets and their members. */
export function memberContract(kernelOf: () => Kernel): void {
  let kernel: Kernel;

  beforeEach(() => {
    kernel = kernelOf();
  });

  describe.each(FAMILIES)("%s", (family) => {
    const { vip } = HOSTS[family];

    test.each(membersOf(family))("member $key is added, observed and deleted", async (entry) => {
      expect(await kernel.apply([addEntry(entry)])).toEqual([OK]);
      expect((await kernel.observe("all")).entries).toEqual(new Map([[entry.key, entry]]));
      expect(await kernel.apply([addEntry(entry), deleteEntry(entry), deleteEntry(entry)])).toEqual([
        refusal("EEXIST"),
        OK,
        refusal("ENOENT"),
      ]);
      expect((await kernel.observe("all")).entries.size).toBe(0);
    });

    test("a member with another mark is the same member: adding it fails while the first exists, and deleting it deletes the first", async () => {
      const member = (mark: number, mask: number) =>
        markEntry(ipset("KUBE-LOCAL-MARK", family), address(vip), "TCP", 80, mark, mask);
      const [first, second] = [member(5, 0x1fff), member(0xffff_ffff, 0xffff_ffff)];
      expect(await kernel.apply([addEntry(first), addEntry(second)])).toEqual([OK, refusal("EEXIST")]);
      expect([...(await kernel.observe("all")).entries.values()]).toEqual([first]);
      expect(await kernel.apply([deleteEntry(second), addEntry(second)])).toEqual([OK, OK]);
      expect([...(await kernel.observe("all")).entries.values()]).toEqual([second]);
    });
  });

  test("every set of both families exists after preparing", async () => {
    const members = FAMILIES.flatMap(membersOf);
    expect(new Set(members.map(({ set }) => set.name))).toEqual(
      new Set(FAMILIES.flatMap(ipsets).map(({ name }) => name)),
    );
    expect(await kernel.apply(members.map(addEntry))).toEqual(members.map(() => OK));
    expect((await kernel.observe("all")).entries).toEqual(new Map(members.map((entry) => [entry.key, entry])));
  });

  test("the members of a setup exist after preparing, beside the former ones, even if it is repeated", async () => {
    const [there, ...members] = membersOf("IPv4");
    if (there === undefined) throw new Error("There is a member for every set");
    expect(await kernel.apply([addEntry(there)])).toEqual([OK]);
    const [added, again] = [members.slice(0, 2), [there, ...members.slice(0, 1)]];
    for (const wanted of [added, again])
      expect(await kernel.prepare({ ...SETUP, members: wanted })).toMatchObject({ changed: [], warnings: [] });
    expect([...(await kernel.observe("all")).entries.keys()].toSorted()).toEqual(
      [there, ...added].map(({ key }) => key).toSorted(),
    );
  });
}
