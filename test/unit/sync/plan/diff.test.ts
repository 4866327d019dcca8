import { expect, test } from "vitest";
import { type Scheduler, virtualServer } from "../../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../../src/model/kernel/operation.ts";
import { RealServers } from "../../../../src/model/kernel/real-servers.ts";
import { diffServer } from "../../../../src/sync/plan/diff.ts";
import { address } from "../../../support/objects/desired.ts";

function added(nodeName: string, { scheduler = "rr", port = 80, pods = 4 } = {}): readonly string[] {
  const server = virtualServer("TCP", address("10.96.0.1"), port, { scheduler: scheduler as Scheduler });
  const reals = Array.from({ length: pods }, (_, pod) => ({ address: address(`10.244.0.${pod + 1}`), port: 8080 }));
  const operations: Operation[] = [];
  const rules = { drains: () => false, mayDelete: () => true, nodeName };
  diffServer({ server, reals: RealServers.of(reals) }, undefined, rules, operations);
  return operations.flatMap((operation) => (operation.kind === "add-real-server" ? [operation.real.address] : []));
}

const SORTED = ["10.244.0.1", "10.244.0.2", "10.244.0.3", "10.244.0.4"];
const NODES = Array.from({ length: 400 }, (_, number) => `node-${number}`);
const PORTS = Array.from({ length: 400 }, (_, number) => number + 1);

function countOf(values: readonly (string | undefined)[]): readonly number[] {
  return [...Map.groupBy(values, (value) => value).values()].map((group) => group.length);
}

test("each real server is added once, in rotated order", () => {
  for (const node of NODES) {
    const order = added(node);
    const start = SORTED.indexOf(order[0] ?? "");
    expect(order).toEqual([...SORTED.slice(start), ...SORTED.slice(0, start)]);
  }
});

test.each<[string, readonly (string | undefined)[]]>([
  ["on many nodes one Service begins", NODES.map((node) => added(node).at(-1))],
  ["on one node many Services begin", PORTS.map((port) => added("node-1", { port }).at(-1))],
])("%s about as often at each real server", (_, last) => {
  const counts = countOf(last);
  expect(counts).toHaveLength(4);
  // 100 each, within four standard deviations.
  for (const count of counts) expect(Math.abs(count - 100)).toBeLessThan(35);
});

test("on one node a Service always begins at the same real server", () => {
  expect(added("node-7")).toEqual(added("node-7"));
});

test.each(["sh", "dh", "mh"])("scheduler %s hashes over the same list on all nodes", (scheduler) => {
  for (const node of NODES) expect(added(node, { scheduler })).toEqual(SORTED);
});

test.each([0, 1])("%s real servers have one order on all nodes", (pods) => {
  expect(added("node-1", { pods })).toEqual(SORTED.slice(0, pods));
});
