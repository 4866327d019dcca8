import { expect, test } from "vitest";
import type { Scheduler } from "../../../src/model/kernel/ipvs.ts";
import { type NodeFacts, sameNodeFacts } from "../../../src/node/node-facts.ts";
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
