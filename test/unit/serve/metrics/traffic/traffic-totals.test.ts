import { describe, expect, test } from "vitest";
import type { ServicePortName } from "../../../../../src/model/cluster/service.ts";
import type { VirtualServerKey } from "../../../../../src/model/kernel/ipvs.ts";
import type { TrafficCounts } from "../../../../../src/model/kernel/traffic.ts";
import { OTHER, TrafficTotals } from "../../../../../src/serve/metrics/traffic/traffic-totals.ts";

// Any text is a key here.
const key = (name: string) => name as VirtualServerKey;
const port = (service: string): ServicePortName => ({ namespace: "shop", service, port: "http" });
const packets = (count: number): TrafficCounts => ({
  connections: count,
  packetsIn: count * 10,
  packetsOut: count * 20,
  bytesIn: count * 1_000,
  bytesOut: count * 2_000,
});

/**
 * Readings: the connections of each virtual server "service/name" that exists, and those that are desired, by default those that
 * exist.
 */
function world(limit: number, { isFirst = false } = {}) {
  const totals = new TrafficTotals(limit);
  if (!isFirst) Array.from(totals.finish());
  return {
    totals,
    read(counts: Readonly<Record<string, number>>, desired: readonly string[] = Object.keys(counts)) {
      for (const name of desired) {
        const [service = ""] = name.split("/");
        const count = counts[name];
        totals.add(key(name), port(service), count === undefined ? undefined : packets(count));
      }
      for (const name of totals.left()) {
        const count = counts[name];
        if (count !== undefined) totals.addUndesired(name, packets(count));
      }
      Array.from(totals.finish());
    },
    connections: () =>
      Object.fromEntries([...totals.totals()].map(({ owner, counts }) => [owner.service, counts.connections])),
  };
}

describe("the total of a port", () => {
  test("is the sum of its virtual servers, of all counters", () => {
    const { totals, read } = world(Number.POSITIVE_INFINITY);
    read({ "web/a": 1, "web/b": 2 });
    read({ "web/a": 4, "web/b": 2 });
    expect([...totals.totals()]).toEqual([{ owner: port("web"), counts: packets(6) }]);
  });

  test("goes on when a virtual server is deleted and added again, or its counters are set to zero", () => {
    const { read, connections } = world(Number.POSITIVE_INFINITY);
    read({ "web/a": 5 });
    read({ "web/a": 3 });
    expect(connections()).toEqual({ web: 8 });
    read({}, ["web/a"]);
    read({ "web/a": 4 });
    expect(connections()).toEqual({ web: 12 });
  });

  test("has the last traffic of a virtual server that drains, and stays for ten readings after the last one", () => {
    const { read, connections } = world(Number.POSITIVE_INFINITY);
    read({ "web/a": 5 });
    read({ "web/a": 6 }, []);
    for (let turn = 0; turn < 10; turn++) read({});
    expect(connections()).toEqual({ web: 6 });
    read({});
    expect(connections()).toEqual({});
  });

  test("begins with the first reading, whatever its virtual servers have counted before", () => {
    const { read, connections } = world(1, { isFirst: true });
    read({ "busy/a": 100, "web/a": 5 });
    expect(connections()).toEqual({ busy: 0, other: 0 });
    read({ "busy/a": 107, "web/a": 9 });
    expect(connections()).toEqual({ busy: 7, other: 4 });
  });
});

describe("with a limit", () => {
  test("the busiest ports have totals, and the others have one", () => {
    const { read, connections } = world(2);
    read({ "a/1": 1, "b/1": 20, "c/1": 3, "d/1": 40 });
    expect(connections()).toEqual({ b: 20, d: 40, other: 4 });
  });

  test("a port that becomes busy begins a total, that of the least busy one ends, and no total decreases", () => {
    const { totals, read, connections } = world(1);
    read({ "a/1": 10, "b/1": 0 });
    expect(connections()).toEqual({ a: 10, other: 0 });
    read({ "a/1": 11, "b/1": 11 });
    expect(connections()).toEqual({ a: 11, other: 11 });
    read({ "a/1": 11, "b/1": 111 });
    expect(connections()).toEqual({ b: 100, other: 11 });
    read({ "a/1": 511, "b/1": 111 });
    expect(connections()).toEqual({ a: 511, other: 11 });
    expect([...totals.servers()]).toEqual([["a/1", port("a")]]);
  });

  test("ports that are equally busy do not change places", () => {
    const { read, connections } = world(2);
    for (let turn = 3; turn < 30; turn++) {
      read({ "a/1": turn * 10, "b/1": turn * 10, "c/1": turn * 10 + (turn % 3) });
      expect(Object.keys(connections()).toSorted()).toEqual(["a", "b", OTHER.service]);
    }
  });
});
