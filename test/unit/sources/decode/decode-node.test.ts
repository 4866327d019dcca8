import { expect, test } from "vitest";
import { decodeNode } from "../../../../src/sources/decode/decode-node.ts";
import { clusterNode, nodeObject } from "../../../support/objects/builders.ts";
import { network } from "../../../support/objects/desired.ts";

test("a Node is decoded to zone, addresses and pod networks, with InternalIPs first", () => {
  const said = {
    zone: "z1",
    ips: ["192.168.0.1", "fd00::1"],
    externalIPs: ["203.0.113.1"],
    podCIDRs: ["10.244.1.0/24", "fd01::/64"],
  };
  expect(clusterNode("node-a", said)).toEqual({
    name: "node-a",
    zone: "z1",
    addresses: ["192.168.0.1", "fd00::1", "203.0.113.1"],
    podCIDRs: [network("10.244.1.0/24"), network("fd01::/64")],
    leaving: false,
  });
});

test("a Node without details has no zone, addresses and networks", () => {
  const value = { name: "node-a", zone: "", addresses: [], podCIDRs: [], leaving: false };
  expect(decodeNode({ metadata: { name: "node-a" } })).toEqual({
    kind: "accepted",
    name: "node-a",
    value,
    problems: [],
  });
});

test("host names are ignored, and invalid addresses and networks are reported", () => {
  const addresses = [
    { type: "Hostname", address: "node-a" },
    { type: "InternalIP", address: "node-a" },
    { type: "InternalIP", address: "192.168.0.1" },
  ];
  const object = {
    ...nodeObject("node-a"),
    status: { addresses },
    spec: { podCIDRs: ["10.244.1.0", "10.244.2.0/24"] },
  };
  const result = decodeNode(object);
  expect(result).toMatchObject({ value: { addresses: ["192.168.0.1"], podCIDRs: [network("10.244.2.0/24")] } });
  expect(result.problems.map((fault) => fault.field)).toEqual(["status.addresses[1].address", "spec.podCIDRs[0]"]);
});

test("podCIDR replaces absent podCIDRs", () => {
  const result = decodeNode({ metadata: { name: "node-a" }, spec: { podCIDR: "10.244.1.0/24" } });
  expect(result).toMatchObject({ value: { podCIDRs: [network("10.244.1.0/24")] }, problems: [] });
});

test.each([
  ["being deleted", { metadata: { name: "node-a", deletionTimestamp: "2026-01-01T00:00:00Z" } }, true],
  ["tainted for deletion", nodeObject("node-a", { taints: ["ToBeDeletedByClusterAutoscaler"] }), true],
  ["tainted otherwise", nodeObject("node-a", { taints: ["node.kubernetes.io/unreachable"] }), false],
])("a node that is %s", (_, object, leaving) => {
  expect(decodeNode(object)).toMatchObject({ value: { leaving } });
});

test("a Node without a name is invalid", () => {
  expect(decodeNode({ metadata: {} }).kind).toBe("invalid");
});
