import { describe, expect, test } from "vitest";
import { type EndpointSlice, sliceName } from "../../../src/model/cluster/service.ts";
import { mergeSlices } from "../../../src/services/endpoints.ts";
import { type EndpointSpec, slice } from "../../support/objects/builders.ts";

function merged(...slices: readonly EndpointSlice[]) {
  return Object.fromEntries(
    [...mergeSlices(slices)].map(([key, list]) => [key, list.map(({ address, port }) => `${address}:${port}`)]),
  );
}

test("no slices have no endpoints", () => {
  expect(merged()).toEqual({});
});

test("endpoints are the union of the slices for each port, sorted by address and port", () => {
  const http = { name: "http", port: 80 };
  const dns = { name: "dns", port: 53, protocol: "UDP" };
  const one = slice("shop/web-1", { ports: [http], endpoints: ["10.0.0.3", "10.0.0.1"] });
  const two = slice("shop/web-2", { ports: [http, dns], endpoints: ["10.0.0.2"] });
  expect(merged(one, two)).toEqual({
    "http/TCP": ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"],
    "dns/UDP": ["10.0.0.2:53"],
  });
});

test("one port may have different numbers in different slices", () => {
  const one = slice("shop/web-1", { ports: [{ name: "http", port: 8080 }], endpoints: ["10.0.0.1"] });
  const two = slice("shop/web-2", { ports: [{ name: "http", port: 9090 }], endpoints: ["10.0.0.1"] });
  const sorted = { "http/TCP": ["10.0.0.1:8080", "10.0.0.1:9090"] };
  expect(merged(two, one)).toEqual(sorted);
  expect(merged({ ...two, name: sliceName("shop", "web-0") }, one)).toEqual(sorted);
});

test("endpoints of both families are in one list", () => {
  const one = slice("shop/web-1", { endpoints: ["10.0.0.1"] });
  const two = slice("shop/web-2", { endpoints: ["fd00::1"] });
  expect(merged(one, two)).toEqual({ "/TCP": ["10.0.0.1:8080", "fd00::1:8080"] });
});

test("merging endpoints leaves the slices as they were", () => {
  const one = slice("shop/web-1", { endpoints: ["10.0.0.2", "10.0.0.1"] });
  const before = structuredClone(one);
  mergeSlices([one, slice("shop/web-2", { endpoints: ["10.0.0.3"] })]);
  expect(one).toEqual(before);
});

describe("if an endpoint is in several slices, in any order,", () => {
  const ip = "10.0.0.1";
  const ready = { ip, ready: true };
  const readyTerminating = { ip, ready: true, terminating: true };
  const draining = { ip, ready: false, serving: true, terminating: true };
  const serving = { ip, ready: false, serving: true };
  const unready = { ip, ready: false, serving: false };
  const dead = { ip, ready: false, serving: false, terminating: true };
  test.each<[string, readonly EndpointSpec[], EndpointSpec]>([
    ["an entry that does not terminate is used, even if it is not ready", [draining, unready], unready],
    ["an entry that does not terminate is used before a ready one that does", [readyTerminating, unready], unready],
    ["the ready entry of those that do not terminate is used", [unready, serving, ready], ready],
    ["the serving entry of those that are not ready is used", [unready, serving], serving],
    ["the first entry by slice name of those that all terminate is used", [dead, readyTerminating, draining], dead],
    [
      "the first entry by slice name of equal ones is used",
      [{ ...ready, node: "node-a" }, ready],
      { ...ready, node: "node-a" },
    ],
  ])("%s", (_, states, winner) => {
    const slices = states.map((state, index) => slice(`shop/web-${index}`, { endpoints: [state] }));
    const expected = new Map(slice("shop/web-0", { endpoints: [winner] }).endpoints);
    expect(new Map(mergeSlices(slices))).toEqual(expected);
    expect(new Map(mergeSlices(slices.toReversed()))).toEqual(expected);
  });

  test("the last entry of one slice that does not terminate is used", () => {
    const copies = [
      { ip, node: "node-a" },
      { ip, node: "node-b" },
      { ip, node: "node-c", terminating: true },
    ];
    const found = [...mergeSlices([slice("shop/web-1", { endpoints: copies })])].flatMap(([, list]) => list);
    expect(found.map(({ nodeName }) => nodeName)).toEqual(["node-b"]);
  });
});
