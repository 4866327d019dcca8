import { describe, expect, test } from "vitest";
import { type NodePortSelection, resolveNodePortAddresses } from "../../../src/node/node-port-addresses.ts";
import { address, network } from "../../support/objects/desired.ts";

describe("the addresses that serve NodePorts", () => {
  const NODE = ["192.168.1.10", "10.1.0.10", "169.254.1.1", "127.0.0.1", "fd01::10", "fe80::1", "::1"];
  const ALL_IPV4 = ["10.1.0.10", "169.254.1.1", "192.168.1.10"];
  const rows: readonly (readonly [string, NodePortSelection, readonly string[], readonly string[]])[] = [
    ["all but loopback and IPv6 link-local", undefined, [], [...ALL_IPV4, "fd01::10"]],
    ["an empty selection is all", [], [], [...ALL_IPV4, "fd01::10"]],
    ["networks select only in their own family", [network("192.168.0.0/16")], [], ["192.168.1.10", "fd01::10"]],
    ["a network of everything", [network("10.9.0.0/16"), network("0.0.0.0/0")], [], [...ALL_IPV4, "fd01::10"]],
    ["networks that contain no address of the node", [network("10.9.0.0/16"), network("fd09::/64")], [], []],
    ["never loopback, even if a network contains it", [network("127.0.0.0/8"), network("::1/128")], [], []],
    ["IPv6 link-local only if a network contains it", [network("1.2.3.4/32"), network("fe80::/10")], [], ["fe80::1"]],
    ["primary: the node's IPs", "primary", ["192.168.1.10", "fd01::10"], ["192.168.1.10", "fd01::10"]],
    ["primary: a family without a node IP gets none", "primary", ["192.168.1.10"], ["192.168.1.10"]],
    ["primary: unknown node IPs open nothing", "primary", [], []],
    ["primary: a node IP that is not on the node", "primary", ["192.0.2.1"], []],
    ["primary: never loopback", "primary", ["127.0.0.1"], []],
  ];
  test.each(rows)("%s", (_, selection, nodeIPs, expected) => {
    expect(resolveNodePortAddresses(selection, NODE.map(address), nodeIPs.map(address))).toEqual(expected);
  });

  test("an address on two interfaces counts once", () => {
    const twice = ["10.1.0.10", "10.1.0.10"].map(address);
    expect(resolveNodePortAddresses(undefined, twice, [])).toEqual(["10.1.0.10"]);
  });
});
