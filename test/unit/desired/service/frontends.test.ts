import { describe, expect, test } from "vitest";
import { frontendProblems, frontends } from "../../../../src/desired/service/frontends.ts";
import type { IPFamily } from "../../../../src/model/address.ts";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { type ServiceSpec, service } from "../../../support/objects/builders.ts";
import { facts } from "../../../support/objects/desired.ts";

const BOTH = ["10.96.0.10", "fd00:10::a"];
const HTTP = { port: 80, nodePort: 30080 };

describe("frontends", () => {
  const rows: readonly (readonly [string, ServiceSpec, readonly IPFamily[], readonly string[], readonly string[]])[] = [
    ["one port", {}, ["IPv4"], [], ["cluster-ip TCP 10.96.0.10 80"]],
    ["the family that the node lacks is left out", { ip: BOTH }, ["IPv4"], [], ["cluster-ip TCP 10.96.0.10 80"]],
    [
      "both families",
      { ip: BOTH },
      ["IPv4", "IPv6"],
      [],
      ["cluster-ip TCP 10.96.0.10 80", "cluster-ip TCP fd00:10::a 80"],
    ],
    [
      "a node port answers on every address of the Service's families",
      { ports: [HTTP] },
      ["IPv4", "IPv6"],
      ["192.168.1.10", "192.168.2.10", "fd01::10"],
      ["cluster-ip TCP 10.96.0.10 80", "node-port TCP 192.168.1.10 30080", "node-port TCP 192.168.2.10 30080"],
    ],
    [
      "no node port if the Service's only family is not served",
      { ip: "fd00:10::a", ports: [HTTP] },
      ["IPv4"],
      ["192.168.1.10"],
      [],
    ],
    [
      "one number, two protocols",
      {
        ports: [
          { name: "a", port: 53 },
          { name: "b", port: 53, protocol: "UDP" },
        ],
      },
      ["IPv4"],
      [],
      ["cluster-ip TCP 10.96.0.10 53", "cluster-ip UDP 10.96.0.10 53"],
    ],
  ];
  test.each(rows)("%s", (_, spec, families, nodePortAddresses, expected) => {
    const found = frontends(service("shop/web", spec), facts({ families, nodePorts: nodePortAddresses }));
    expect(found.map((f) => `${f.kind} ${f.protocol} ${f.address} ${f.port}`)).toEqual(expected);
  });

  test("every frontend names its Service port", () => {
    const found = frontends(
      service("shop/web", {
        ports: [
          { name: "http", port: 80 },
          { name: "dns", port: 53, protocol: "UDP" },
        ],
      }),
      facts(),
    );
    expect(found.map(({ portKey }) => portKey)).toEqual(["http/TCP", "dns/UDP"]);
  });
});

describe("a Service of more frontends than a node programs", () => {
  const ports = (count: number, nodePort = false) =>
    Array.from({ length: count }, (_, index) => ({
      name: `p${index}`,
      port: 1_000 + index,
      ...(nodePort && { nodePort: 30_000 + index }),
    }));
  const ips = (count: number) => Array.from({ length: count }, (_, index) => `203.0.${index >> 8}.${index & 255}`);

  test.each<[string, ServiceSpec, Readonly<Record<string, number>>, string]>([
    [
      "200 ports and 200 external IPs",
      { ports: ports(200), externalIPs: ips(200) },
      { "cluster-ip": 200, "external-ip": 9_800 },
      "40200",
    ],
    ["25,000 ports", { ports: ports(25_000) }, { "cluster-ip": 10_000 }, "25000"],
    [
      "NodePorts and external IPs",
      { ports: ports(2_700, true), externalIPs: ips(2) },
      { "cluster-ip": 2_700, "node-port": 5_400, "external-ip": 1_900 },
      "13500",
    ],
    [
      "load balancers before external IPs",
      { ports: ports(200), loadBalancerIPs: ips(40), externalIPs: ips(60).map((ip) => ip.replace("203", "198")) },
      { "cluster-ip": 200, "load-balancer": 8_000, "external-ip": 1_800 },
      "20200",
    ],
  ])("%s: 10,000 count, the cluster IPs first", (_, said, expected, count) => {
    const one = service("shop/web", said);
    const node = facts({ nodePorts: ["192.168.1.10", "192.168.1.11"] });
    const found = frontends(one, node);
    const kinds = Map.groupBy(found, ({ kind }) => kind);
    expect(Object.fromEntries([...kinds].map(([kind, list]) => [kind, list.length]))).toEqual(expected);
    expect(new Set(found.map(({ address, port }) => `${address} ${port}`)).size).toBe(10_000);
    expect(frontendProblems(one, node)).toEqual([
      expect.objectContaining({ object: problemObject("Service", "shop/web"), field: "spec", value: count }),
    ]);
  });

  test.each<[string, ServiceSpec]>([
    ["just as many", { ports: ports(100), externalIPs: ips(99) }],
    ["more, of which some are rejected", { ports: ports(100), externalIPs: [...ips(99), "192.168.1.10"] }],
  ])("%s: no word about it", (_, said) => {
    const one = service("shop/web", said);
    expect(frontends(one, facts())).toHaveLength(10_000);
    expect(frontendProblems(one, facts())).toEqual([]);
  });
});
