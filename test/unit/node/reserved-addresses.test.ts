import { describe, expect, test } from "vitest";
import { type ApiServer, apiServers, reservedAddresses } from "../../../src/node/reserved-addresses.ts";
import { ServiceTable } from "../../../src/services/service-table.ts";
import { clusterNode, service, slice } from "../../support/objects/builders.ts";
import { address, apiServer, network } from "../../support/objects/desired.ts";

test("sharing allows the node's own addresses, never those of other nodes and of API servers", () => {
  const everything = [network("0.0.0.0/0")];
  const nodes = [clusterNode("n1", { ips: ["192.168.1.10"] }), clusterNode("n2", { ips: ["192.168.1.20"] })];
  const addresses = [address("192.168.1.10"), address("172.16.0.9")];
  const reserved = reservedAddresses({ nodes, addresses, apiServers: [apiServer("192.168.1.2")] }, "n1", everything);
  expect([...reserved.keys()]).toEqual(["192.168.1.2", "192.168.1.20"]);
});

test("the order of addresses, and link-local addresses of pods, change nothing", () => {
  const one = reservedAddresses(
    { nodes: [], addresses: ["10.0.0.1", "10.0.0.2"].map(address), apiServers: [] },
    "n1",
    [],
  );
  const addresses = ["fe80::5", "10.0.0.2", "10.0.0.1", "10.0.0.2"].map(address);
  const other = reservedAddresses({ nodes: [], addresses, apiServers: [] }, "n1", []);
  expect([...other]).toEqual([...one]);
});

describe("API servers", () => {
  const found = (servers: readonly ApiServer[]) => servers.map(({ address: ip, port }) => `${ip} ${port}`);
  const table = new ServiceTable();
  table.apply({ kind: "service-upserted", service: service("default/kubernetes", { ip: "10.96.0.1" }) });
  table.apply({
    kind: "slice-upserted",
    slice: slice("default/kubernetes", { service: "kubernetes", endpoints: ["192.168.1.3"] }),
  });

  test("are the configured addresses and the endpoints of their Service", () => {
    expect(found(apiServers(table, [apiServer("192.168.1.2")]))).toEqual(["192.168.1.2 6443", "192.168.1.3 8080"]);
  });

  test("do not reserve the ClusterIP of their Service if they are configured by it", () => {
    expect(found(apiServers(table, [apiServer("10.96.0.1")]))).toEqual(["192.168.1.3 8080"]);
  });

  test("are the configured addresses if there is no such Service", () => {
    expect(found(apiServers(new ServiceTable(), [apiServer("192.168.1.2")]))).toEqual(["192.168.1.2 6443"]);
  });
});
