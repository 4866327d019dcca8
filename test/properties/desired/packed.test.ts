import fc from "fast-check";
import { expect, test } from "vitest";
import { portKey } from "../../../src/model/cluster/service.ts";
import { SliceEndpoints } from "../../../src/model/cluster/slice-endpoints.ts";
import { realServerKey } from "../../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../../src/model/kernel/real-servers.ts";
import { TextTable } from "../../../src/model/text-table.ts";
import { address } from "../../support/objects/desired.ts";

const addresses = fc.constantFrom("10.244.0.1", "10.244.0.10", "10.244.1.1", "fd00::1", "fd00::1:1").map(address);
const reals = fc.uniqueArray(
  fc
    .record({
      address: addresses,
      port: fc.constantFrom(8, 80, 8080),
      weight: fc.constantFrom(0, 1, 65_535),
      forwarding: fc.constantFrom("masquerade" as const, "local" as const, "tunnel" as const),
    })
    .map((parts) => ({ key: realServerKey(parts.address, parts.port), ...parts })),
  { selector: ({ key }) => key },
);

test("packed real servers are read back unchanged, by list and by key", () => {
  fc.assert(
    fc.property(reals, (given) => {
      const packed = RealServers.of(given);
      const byKey = new Map(given.map((real) => [real.key, real]));
      expect(packed.size).toBe(given.length);
      expect(packed.toMap()).toEqual(byKey);
      expect(new Set(packed.list())).toEqual(new Set(given));
      const every = RealServers.of([...byKey.values()]);
      for (const ip of ["10.244.0.1", "10.244.0.10", "fd00::1"].map(address))
        for (const port of [8, 80]) {
          const key = realServerKey(ip, port);
          expect([every.get(key), every.has(key)]).toEqual([byKey.get(key), byKey.has(key)]);
        }
    }),
  );
});

test("packed real servers are equal if they are the same, in any order", () => {
  fc.assert(
    fc.property(reals, reals, (a, b) => {
      const text = (list: typeof a) => JSON.stringify(list.toSorted((x, y) => (x.key < y.key ? -1 : 1)));
      expect(RealServers.of(a).equals(RealServers.of(a.toReversed()))).toBe(true);
      expect(RealServers.of(a).equals(RealServers.of(b))).toBe(text(a) === text(b));
    }),
  );
});

test("the differences of packed real servers are the missing ones and those with another weight or forwarding, in order", () => {
  fc.assert(
    fc.property(reals, reals, (a, b) => {
      const [mine, other] = [RealServers.of(a), RealServers.of(b)];
      const ofBoth = RealServers.of([...new Map([...a, ...b].map((real) => [real.key, real])).values()]).list();
      const expected = ofBoth
        .map(({ key }) => ({ mine: mine.get(key), other: other.get(key) }))
        .filter((pair) => JSON.stringify(pair.mine) !== JSON.stringify(pair.other));
      expect(mine.differences(other)).toEqual(expected);
    }),
  );
});

const names = fc.constantFrom("", "n1", "n 2", "z1,z2", "ü");
const backends = fc.array(
  fc.record({
    address: addresses,
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    nodeName: names,
    zoneHints: fc.array(names, { maxLength: 3 }),
    nodeHints: fc.array(names, { maxLength: 2 }),
    weight: fc.oneof(fc.constantFrom(0, 1, 2, 65_535), fc.nat(65_535)),
  }),
  { maxLength: 5 },
);

/** A table as a source has it: it has texts of other slices, and its numbers have several digits. */
function usedTable(): TextTable {
  const table = new TextTable();
  for (let index = 0; index < 120; index++) table.numberOf(`node-${index}`);
  return table;
}

const ports = fc
  .uniqueArray(fc.constantFrom("http", "dns", "", "\n"), { maxLength: 3 })
  .map((list) => new Map(list.map((name, index) => [portKey(name, "TCP"), 8080 + index])));

test("packed endpoints of a slice are read back unchanged, at each port", () => {
  fc.assert(
    fc.property(ports, backends, (given, list) => {
      const expected = [...given].map(([key, port]) => [key, list.map((backend) => ({ ...backend, port }))]);
      expect([...new SliceEndpoints(given, list, usedTable())]).toEqual(expected);
    }),
  );
});

test("packed endpoints are equal if they have the same content in the same order", () => {
  fc.assert(
    fc.property(ports, backends, ports, backends, (portsA, a, portsB, b) => {
      const text = (at: typeof portsA, list: typeof a) => JSON.stringify([[...at], list]);
      const shared = usedTable();
      const one = new SliceEndpoints(portsA, a, shared);
      for (const table of [shared, new TextTable()]) {
        expect(one.equals(new SliceEndpoints(new Map(portsA), structuredClone(a), table))).toBe(true);
        expect(one.equals(new SliceEndpoints(portsB, b, table))).toBe(text(portsA, a) === text(portsB, b));
      }
    }),
  );
});

test("a slice is on the nodes of its endpoints, and on no other node that it names", () => {
  fc.assert(
    fc.property(ports, backends, names, (given, list, name) => {
      const slice = new SliceEndpoints(given, list, usedTable());
      expect(slice.isOn(name)).toBe(list.some(({ nodeName }) => nodeName === name));
    }),
  );
});

test("texts are read back by their numbers, and equal texts have one number", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 3 }), { maxLength: 200 }),
      fc.string({ maxLength: 3 }),
      (texts, other) => {
        const table = new TextTable();
        const numbers = texts.map((text) => table.numberOf(text));
        expect(numbers.map((number) => table.at(number))).toEqual(texts);
        expect(new Set(numbers).size).toBe(new Set(texts).size);
        expect(table.find(other)).toBe(numbers[texts.indexOf(other)]);
      },
    ),
  );
});
