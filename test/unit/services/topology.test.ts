import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../../src/model/cluster/service.ts";
import { selectEndpoints } from "../../../src/services/topology.ts";
import { endpoint } from "../../support/objects/endpoints.ts";

const HERE = { nodeName: "here", zone: "z1" };
const BOTH = { cluster: true, local: true };

/** Endpoints in shorthand: the name and node of each, and its differences from a ready one. */
const ep = (last: number, said: Partial<Endpoint> = {}) => endpoint(`10.0.0.${last}`, 80, said);
const local = { nodeName: "here" };
const remote = { nodeName: "there" };
const draining = { ready: false, serving: true, terminating: true };
const unready = { ready: false, serving: true };
const dead = { ready: false, serving: false, terminating: true };
const zone = (...zoneHints: string[]) => ({ zoneHints });
const node = (...nodeHints: string[]) => ({ nodeHints });

/** Selected endpoints by their last number; undefined if the set does not exist. */
function selected(endpoints: readonly Endpoint[], needs = BOTH, place = HERE) {
  const { cluster, local: ours, hasAny } = selectEndpoints(endpoints, needs, place);
  const numbers = (list: readonly Endpoint[] | undefined) => list?.map(({ address }) => Number(address.slice(7)));
  return { cluster: numbers(cluster), local: numbers(ours), hasAny };
}

describe("a single local endpoint", () => {
  test.each([
    { ready: true, serving: true, terminating: false, used: true },
    { ready: true, serving: true, terminating: true, used: true },
    { ready: false, serving: true, terminating: true, used: true },
    { ready: false, serving: true, terminating: false, used: false },
    { ready: false, serving: false, terminating: true, used: false },
    { ready: false, serving: false, terminating: false, used: false },
    { ready: true, serving: false, terminating: false, used: true },
    { ready: true, serving: false, terminating: true, used: true },
  ])("ready $ready, serving $serving, terminating $terminating is used: $used", ({ used, ...state }) => {
    const expected = used ? [1] : [];
    expect(selected([ep(1, { ...local, ...state })])).toEqual({ cluster: expected, local: expected, hasAny: used });
  });
});

describe("beside a ready endpoint", () => {
  test.each([
    { name: "draining", state: draining },
    { name: "unready", state: unready },
    { name: "dead", state: dead },
  ])("a $name one is not used", ({ state }) => {
    const endpoints = [ep(1, local), ep(2, { ...local, ...state })];
    expect(selected(endpoints)).toEqual({ cluster: [1], local: [1], hasAny: true });
  });

  test("one that is ready while it terminates is used", () => {
    const endpoints = [ep(1, local), ep(2, { ...local, terminating: true })];
    expect(selected(endpoints)).toEqual({ cluster: [1, 2], local: [1, 2], hasAny: true });
  });
});

describe("a set that is not needed is undefined", () => {
  test.each([
    { needs: { cluster: true, local: false }, expected: { cluster: [1, 2], local: undefined, hasAny: true } },
    { needs: { cluster: false, local: true }, expected: { cluster: undefined, local: [1], hasAny: true } },
    { needs: { cluster: false, local: false }, expected: { cluster: undefined, local: undefined, hasAny: false } },
  ])("needs $needs", ({ needs, expected }) => {
    expect(selected([ep(1, local), ep(2, remote)], needs)).toEqual(expected);
  });

  test("without any endpoints no set exists", () => {
    expect(selected([])).toEqual({ cluster: undefined, local: undefined, hasAny: false });
  });
});

describe("local endpoints", () => {
  test.each<[string, readonly Endpoint[], readonly number[], boolean]>([
    ["remote endpoints make an empty local set that records that there are others", [ep(1, remote)], [], true],
    ["a remote draining endpoint does so too", [ep(1, { ...remote, ...draining })], [], true],
    ["a remote unready endpoint does not", [ep(1, { ...remote, ...unready })], [], false],
    [
      "a draining local one is used although a remote one is ready",
      [ep(1, remote), ep(2, { ...local, ...draining })],
      [2],
      true,
    ],
    [
      "a ready local one is used before a draining local one",
      [ep(1, { ...local, ...draining }), ep(2, local)],
      [2],
      true,
    ],
    ["an unready local one is not used", [ep(1, remote), ep(2, { ...local, ...unready })], [], true],
    [
      "hints for other nodes are ignored",
      [ep(1, { ...local, ...node("there") }), ep(2, { ...remote, ...node("here") })],
      [1],
      true,
    ],
    [
      "hints for other zones are ignored",
      [ep(1, { ...local, ...zone("z2") }), ep(2, { ...remote, ...zone("z1") })],
      [1],
      true,
    ],
  ])("%s", (_, endpoints, expected, hasAny) => {
    expect(selected(endpoints, { cluster: false, local: true })).toEqual({
      cluster: undefined,
      local: expected,
      hasAny,
    });
  });

  test("an endpoint on an unknown node is not local to an unknown node", () => {
    expect(selected([ep(1)], { cluster: false, local: true }, { nodeName: "", zone: "" }).local).toEqual([]);
  });
});

test("the fallbacks of cluster and local are independent", () => {
  const endpoints = [ep(1, remote), ep(2, { ...local, ...draining })];
  expect(selected(endpoints)).toEqual({ cluster: [1], local: [2], hasAny: true });
});

describe("hints narrow the cluster set", () => {
  const here = { nodeName: "here", zone: "z1" };
  test.each<[string, readonly Endpoint[], readonly number[]]>([
    ["no hints: all", [ep(1), ep(2)], [1, 2]],
    ["all hinted by zone, one to ours", [ep(1, zone("z1")), ep(2, zone("z2"))], [1]],
    ["a zone hint may name several zones", [ep(1, zone("z2", "z1")), ep(2, zone("z2", "z3"))], [1]],
    ["all hinted by zone, none to ours: all", [ep(1, zone("z2")), ep(2, zone("z3"))], [1, 2]],
    ["one without a hint: all", [ep(1, zone("z1")), ep(2, zone("z2")), ep(3)], [1, 2, 3]],
    ["an unready one without hints is ignored", [ep(1, zone("z1")), ep(2, zone("z2")), ep(3, unready)], [1]],
    ["hints of unready ones are ignored", [ep(1), ep(2, { ...zone("z1"), ...unready })], [1]],
    ["all hinted by node, one to ours", [ep(1, node("here")), ep(2, node("there"))], [1]],
    ["all hinted by node, none to ours: all", [ep(1, node("there")), ep(2, node("far"))], [1, 2]],
    ["one not hinted by node: all", [ep(1, node("here")), ep(2)], [1, 2]],
    [
      "hints for our node take precedence over hints for our zone",
      [ep(1, { ...node("here"), ...zone("z1") }), ep(2, { ...node("there"), ...zone("z1") })],
      [1],
    ],
    [
      "without a hint for our node hints for our zone are used",
      [ep(1, { ...node("there"), ...zone("z1") }), ep(2, { ...node("far"), ...zone("z2") })],
      [1],
    ],
    [
      "with incomplete node hints those for our zone are used",
      [ep(1, { ...node("here"), ...zone("z2") }), ep(2, zone("z1"))],
      [2],
    ],
    [
      "no ready one: all draining, hinted or not",
      [ep(1, { ...draining, ...zone("z2") }), ep(2, { ...draining, ...zone("z1") }), ep(3, dead)],
      [1, 2],
    ],
    [
      "the last ready one of our zone drains: the others serve",
      [ep(1, { ...draining, ...zone("z1") }), ep(2, zone("z2"))],
      [2],
    ],
  ])("%s", (_, endpoints, expected) => {
    expect(selected(endpoints, { cluster: true, local: false }, here).cluster).toEqual(expected);
  });

  test.each([
    ["zone", { nodeName: "here", zone: "" }, zone("")],
    ["node", { nodeName: "", zone: "z1" }, node("")],
  ])("an unknown %s of ours matches no hint", (_, place, hint) => {
    expect(selected([ep(1, hint), ep(2, { ...zone("z9"), ...node("far") })], BOTH, place).cluster).toEqual([1, 2]);
  });
});
