import { expect, test } from "vitest";
import { readConfig } from "../../../src/config/config.ts";
import type { Scheduler } from "../../../src/model/kernel/ipvs.ts";
import { configuredFamilies, type NodeFacts, nodeIPsOf, sameNodeFacts } from "../../../src/node/node-facts.ts";
import { type Changed, countingFields } from "../../support/hostile/counting-fields.ts";
import { address, apiServer, facts, network } from "../../support/objects/desired.ts";

test("a change of each fact of the node is a change of the facts", () => {
  const changed: Changed<NodeFacts> = {
    nodeName: "other",
    zone: "z9",
    families: ["IPv6"],
    nodePortAddresses: [address("192.0.2.1")],
    healthCheckAddresses: [address("192.0.2.1")],
    reserved: new Map([[address("192.0.2.1"), "is an address of this node"]]),
    ownAddresses: [address("192.0.2.1")],
    apiServers: [apiServer("192.0.2.1")],
    podNetworks: [network("10.9.0.0/24")],
    localMarkMask: 1,
    scheduler: "mh" as Scheduler,
    missingSchedulers: ["mh" as Scheduler],
  };
  expect(sameNodeFacts(facts(), facts())).toBe(true);
  expect(countingFields(sameNodeFacts, facts(), changed)).toEqual(Object.keys(changed));
});

test("another reason for a reserved address is a change of the facts", () => {
  const reserved = (reason: string) => ({ ...facts(), reserved: new Map([[address("192.0.2.1"), reason]]) });
  expect(sameNodeFacts(reserved("is an address of this node"), reserved("is an address of Node b"))).toBe(false);
});

test.each([
  ["0.0.0.0", "", ["10.0.0.1", "fd00::1"], ["IPv4"]],
  ["::", "", ["10.0.0.1", "fd00::1"], ["IPv4"]],
  ["10.0.0.9", "", ["10.0.0.9", "fd00::1"], ["IPv4"]],
  ["fd00::9", "", ["fd00::9", "10.0.0.1"], ["IPv6"]],
  ["fd00::9", "10.0.0.7", ["10.0.0.7"], ["IPv4", "IPv6"]],
])("the bind address %s with the node IPs %j gives the IPs %j", (bindAddress, nodeIPs, expected, families) => {
  const given = (text: string) => ({ source: "flag", text });
  const { config } = readConfig({ bindAddress: given(bindAddress), nodeIPs: given(nodeIPs) });
  const addresses = ["10.0.0.1", "fd00::1"].map(address);
  const node = { name: "n", zone: "", addresses, podCIDRs: [], leaving: false };
  expect(nodeIPsOf(config, node)).toEqual(expected);
  expect(configuredFamilies(config)).toEqual(families);
});
