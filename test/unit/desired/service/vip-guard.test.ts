import { describe, expect, test } from "vitest";
import { readConfig } from "../../../../src/config/config.ts";
import { allowedVips, vipFault, vipProblems } from "../../../../src/desired/service/vip-guard.ts";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { NOTHING_DISCOVERED, nodeFacts } from "../../../../src/node/node-facts.ts";
import { reservedAddresses } from "../../../../src/node/reserved-addresses.ts";
import { clusterNode, service } from "../../../support/objects/builders.ts";
import { address, apiServer, built, facts, network } from "../../../support/objects/desired.ts";

const RESERVED = reservedAddresses(
  {
    nodes: [
      clusterNode("n1", { ips: ["192.168.1.10"], externalIPs: ["198.51.100.7"] }),
      clusterNode("n2", { ips: ["172.16.0.20"] }),
    ],
    addresses: ["192.168.1.10", "10.244.1.1", "127.0.0.1", "fe80::1", "172.16.0.9"].map(address),
    apiServers: ["192.168.1.2"].map(apiServer),
  },
  "n1",
  [network("172.16.0.0/24")],
);

test.each<[string, string, string | undefined]>([
  ["an address of an interface", "10.244.1.1", "is an address of this node"],
  ["the node's IP", "192.168.1.10", "is an address of Node n1"],
  ["an IP of the node that no interface has", "198.51.100.7", "is an address of Node n1"],
  ["another node's IP, even if node addresses are shared", "172.16.0.20", "is an address of Node n2"],
  ["an API server", "192.168.1.2", "is the address of an API server"],
  ["loopback", "127.0.0.1", "is a loopback address"],
  ["unspecified", "::", "is the unspecified address"],
  ["multicast", "239.0.0.1", "is a multicast address"],
  ["link-local", "fe80::1", "is a link-local address"],
  ["an address of an interface that is shared", "172.16.0.9", undefined],
  ["any other", "203.0.113.5", undefined],
])("whether a Service may have %s", (_, text, fault) => {
  expect(vipFault(address(text), RESERVED)).toBe(fault);
});

test("a rejected address does not affect the other addresses of the Service", () => {
  expect(allowedVips(["192.168.1.10", "203.0.113.5"].map(address), RESERVED)).toEqual(["203.0.113.5"]);
  const state = built("shop/web", {
    ip: ["192.168.1.10", "fd00::a"],
    ports: [{ port: 80, nodePort: 30080 }],
  });
  expect(state.servers.map(({ server }) => server.key)).toEqual(["TCP/[fd00::a]:80", "TCP/192.168.1.10:30080"]);
  expect([...state.addresses]).toEqual(["fd00::a"]);
});

test("every rejected address of a Service is reported with its field", () => {
  const found = vipProblems(
    service("shop/web", {
      ip: "10.244.1.1",
      externalIPs: ["203.0.113.5", "192.168.1.10"],
      loadBalancerIPs: ["192.168.1.2"],
    }),
    {
      reserved: RESERVED,
      ownAddresses: [address("192.168.1.10")],
      apiServers: [apiServer("192.168.1.2")],
      podNetworks: [],
    },
  );
  expect(found).toEqual([
    {
      object: problemObject("Service", "shop/web"),
      field: "spec.clusterIPs",
      value: "10.244.1.1",
      reason: "is an address of this node",
    },
    {
      object: problemObject("Service", "shop/web"),
      field: "spec.externalIPs",
      value: "192.168.1.10",
      reason: "is an address of Node n1",
    },
    {
      object: problemObject("Service", "shop/web"),
      field: "status.loadBalancer.ingress",
      value: "192.168.1.2",
      reason: "is the address of an API server",
    },
  ]);
});

describe("an address of a load balancer that this node has on an interface", () => {
  const node = { own: ["198.51.100.1", "192.168.1.2"], apiServers: ["192.168.1.2", "192.168.1.3"] };

  test("is served in place, without a problem", () => {
    const state = built("shop/web", { ip: "10.96.0.1", loadBalancerIPs: ["198.51.100.1", "192.168.1.10"] }, {}, node);
    const keys = state.servers.map(({ server }) => server.key);
    expect(keys).toEqual(["TCP/10.96.0.1:80", "TCP/198.51.100.1:80", "TCP/192.168.1.10:80"]);
    expect(state.addresses).toEqual(["10.96.0.1"]);
    const web = service("shop/web", { loadBalancerIPs: ["198.51.100.1", "192.168.1.10"] });
    expect(vipProblems(web, facts(node))).toEqual([]);
  });

  test("is rejected as an external IP, which every author of a Service may set", () => {
    const state = built("shop/web", { ip: "10.96.0.1", externalIPs: ["192.168.1.10"] }, {}, node);
    expect(state.servers.map(({ server }) => server.key)).toEqual(["TCP/10.96.0.1:80"]);
  });

  test("is rejected only at the port of an API server that has this address", () => {
    const said = {
      ip: "10.96.0.1",
      ports: [
        { name: "web", port: 80 },
        { name: "api", port: 6443 },
      ],
      loadBalancerIPs: ["192.168.1.2"],
    };
    const keys = built("shop/web", said, {}, node).servers.map(({ server }) => server.key);
    expect(keys).toEqual(["TCP/10.96.0.1:80", "TCP/10.96.0.1:6443", "TCP/192.168.1.2:80"]);
    expect(vipProblems(service("shop/web", said), facts(node))).toMatchObject([
      {
        field: "status.loadBalancer.ingress",
        value: "192.168.1.2:6443",
        reason: "is the address and port of an API server",
      },
    ]);
  });

  test("is rejected at every port if an API server on another host has it", () => {
    const said = { ip: "10.96.0.1", loadBalancerIPs: ["192.168.1.3"] };
    expect(built("shop/web", said, {}, node).servers).toHaveLength(1);
    expect(vipProblems(service("shop/web", said), facts(node))).toMatchObject([
      { value: "192.168.1.3", reason: "is the address of an API server" },
    ]);
  });
});

describe("an external IP in a network of pods", () => {
  const node = { podNetworks: ["10.244.0.0/16", "fd00:244::/64"] };
  const said = { ip: ["10.96.0.1", "fd00:96::1"], externalIPs: ["10.244.1.5", "203.0.113.1", "fd00:244::5"] };

  test("is rejected, as it would cut a pod off, and the other addresses of the Service are served", () => {
    expect(built("shop/web", said, {}, node).addresses).toEqual(["10.96.0.1", "fd00:96::1", "203.0.113.1"]);
    expect(vipProblems(service("shop/web", said), facts(node))).toMatchObject([
      { field: "spec.externalIPs", value: "10.244.1.5", reason: "is in the pod network 10.244.0.0/16" },
      { field: "spec.externalIPs", value: "fd00:244::5", reason: "is in the pod network fd00:244::/64" },
    ]);
  });

  test("is compared with the networks of the cluster and of each Node, in any order, but never with a network of all addresses", () => {
    const { config } = readConfig({ clusterCidrs: { source: "test", text: "10.244.0.0/16" } });
    const nodes = [
      clusterNode("n2", { podCIDRs: ["10.245.2.0/24"] }),
      clusterNode("n1", { podCIDRs: ["10.245.1.0/24", "::/0"] }),
    ];
    for (const known of [nodes, nodes.toReversed()]) {
      const { podNetworks } = nodeFacts(config, ["IPv4", "IPv6"], { ...NOTHING_DISCOVERED, nodes: known });
      expect(podNetworks.map(({ text }) => text)).toEqual(["10.244.0.0/16", "10.245.1.0/24", "10.245.2.0/24"]);
    }
  });
});
