import { describe, expect, test } from "vitest";
import type { ServiceSpec } from "../../../support/objects/builders.ts";
import { built, type FactsSpec, membersOf } from "../../../support/objects/desired.ts";

/** The members that are not of the cluster IP. */
function members(said: ServiceSpec, node: FactsSpec = {}): readonly string[] {
  return membersOf(built("shop/web", said, {}, node))
    .map(({ key }) => key)
    .filter((key) => !/CLUSTER-IP|IPVS-IPS/.test(key));
}

const EXTERNAL: ServiceSpec = { externalIPs: ["198.51.100.1"] };
const BALANCED: ServiceSpec = { loadBalancerIPs: ["203.0.113.1"] };
const PORTS = [
  { name: "t", port: 1, nodePort: 30001 },
  { name: "u", port: 2, nodePort: 30002, protocol: "UDP" },
  { name: "s", port: 3, nodePort: 30003, protocol: "SCTP" },
];

test.each<[string, ServiceSpec, readonly string[]]>([
  ["an external IP", EXTERNAL, ["KUBE-EXTERNAL-IP 198.51.100.1,tcp:80"]],
  [
    "an external IP under the policy Local",
    { ...EXTERNAL, external: "Local" },
    ["KUBE-EXTERNAL-IP-LOCAL 198.51.100.1,tcp:80"],
  ],
  ["a load balancer", BALANCED, ["KUBE-LOAD-BALANCER 203.0.113.1,tcp:80"]],
  [
    "a load balancer under the policy Local",
    { ...BALANCED, external: "Local" },
    ["KUBE-LOAD-BALANCER 203.0.113.1,tcp:80", "KUBE-LOAD-BALANCER-LOCAL 203.0.113.1,tcp:80"],
  ],
  [
    "several load balancers of IPv6",
    { ip: "fd00:10::a", loadBalancerIPs: ["2001:db8::1", "2001:db8::2"] },
    ["KUBE-6-LOAD-BALANCER 2001:db8::1,tcp:80", "KUBE-6-LOAD-BALANCER 2001:db8::2,tcp:80"],
  ],
  [
    "a load balancer with its health check",
    { ...BALANCED, external: "Local", healthCheckNodePort: 32000 },
    [
      "KUBE-LOAD-BALANCER 203.0.113.1,tcp:80",
      "KUBE-LOAD-BALANCER-LOCAL 203.0.113.1,tcp:80",
      "KUBE-HEALTH-CHECK-NODE-PORT 32000",
    ],
  ],
  [
    "node ports under the policy Local",
    { ports: PORTS, external: "Local" },
    [
      "KUBE-NODE-PORT-TCP 30001",
      "KUBE-NODE-PORT-LOCAL-TCP 30001",
      "KUBE-NODE-PORT-UDP 30002",
      "KUBE-NODE-PORT-LOCAL-UDP 30002",
      "KUBE-NODE-PORT-SCTP-HASH 192.168.1.10,sctp:30003",
      "KUBE-NODE-PORT-LOCAL-SCTP-HASH 192.168.1.10,sctp:30003",
    ],
  ],
])("members of %s", (_, said, expected) => {
  expect(members(said)).toEqual(expected);
});

test("a node without an address for NodePorts still answers the health checks of load balancers (G-25)", () => {
  const said: ServiceSpec = { ports: PORTS, type: "LoadBalancer", external: "Local", healthCheckNodePort: 32000 };
  expect(members(said, { nodePorts: [] })).toEqual(["KUBE-HEALTH-CHECK-NODE-PORT 32000"]);
});

describe("source ranges of a load balancer", () => {
  const FRONTEND = "203.0.113.1,tcp:80";
  const BOTH: ServiceSpec = { ip: ["10.96.0.10", "fd00:10::a"], loadBalancerIPs: ["203.0.113.1", "2001:db8::1"] };
  const restricting = (said: ServiceSpec, node: FactsSpec = {}) =>
    members(said, node)
      .filter((key) => /-(FW|SOURCE)/.test(key))
      .map((key) => key.replace("KUBE-6-LOAD-BALANCER-SOURCE-CID ", "KUBE-6-LOAD-BALANCER-SOURCE-CIDR "));

  test.each<[string, ServiceSpec, readonly string[]]>([
    ["none asked for restrict nobody", BALANCED, []],
    [
      "a network and one address, as ipset prints them (G-6)",
      { ...BALANCED, sourceRanges: ["198.51.100.9/24", "192.0.2.1/32"] },
      [
        `KUBE-LOAD-BALANCER-FW ${FRONTEND}`,
        `KUBE-LOAD-BALANCER-SOURCE-CIDR ${FRONTEND},198.51.100.0/24`,
        `KUBE-LOAD-BALANCER-SOURCE-CIDR ${FRONTEND},192.0.2.1`,
      ],
    ],
    ["everything is no restriction", { ...BALANCED, sourceRanges: ["0.0.0.0/0", "192.0.2.0/24"] }, []],
    [
      "those of IPv4 alone let nobody in over IPv6 (G-47)",
      { ...BOTH, sourceRanges: ["192.0.2.0/24"] },
      [
        `KUBE-LOAD-BALANCER-FW ${FRONTEND}`,
        `KUBE-LOAD-BALANCER-SOURCE-CIDR ${FRONTEND},192.0.2.0/24`,
        "KUBE-6-LOAD-BALANCER-FW 2001:db8::1,tcp:80",
      ],
    ],
    [
      "everything of IPv4 leaves IPv6 as it was restricted",
      { ...BOTH, sourceRanges: ["0.0.0.0/0", "2001:db8:1::/48"] },
      [
        "KUBE-6-LOAD-BALANCER-FW 2001:db8::1,tcp:80",
        "KUBE-6-LOAD-BALANCER-SOURCE-CIDR 2001:db8::1,tcp:80,2001:db8:1::/48",
      ],
    ],
    ["external IPs are for everybody", { ...EXTERNAL, type: "LoadBalancer", sourceRanges: ["192.0.2.0/24"] }, []],
  ])("%s", (_, said, expected) => {
    expect(restricting(said)).toEqual(expected);
  });

  test.each([
    [["192.168.1.10"], "192.168.1.0/24", true],
    [["10.1.0.1", "192.168.1.10"], "192.168.1.10/32", true],
    [["192.168.1.10"], "192.168.2.0/24", false],
  ])("a node at %j may, with %s: %s (G-61)", (nodePorts, range, may) => {
    const found = restricting({ ...BALANCED, sourceRanges: [range] }, { nodePorts });
    expect(found.includes(`KUBE-LOAD-BALANCER-SOURCE-IP ${FRONTEND},203.0.113.1`)).toBe(may);
  });
});

test("addresses for outside are bound as cluster IPs are, but for one that an interface of the node has", () => {
  const said: ServiceSpec = { ...EXTERNAL, ...BALANCED, ports: PORTS };
  const bound = (own: readonly string[]) => built("shop/web", said, {}, { own }).addresses;
  expect(bound([])).toEqual(["10.96.0.10", "203.0.113.1", "198.51.100.1"]);
  expect(bound(["203.0.113.1"])).toEqual(["10.96.0.10", "198.51.100.1"]);
  const { entries, servers } = built("shop/web", said, {}, { own: ["203.0.113.1"] });
  expect(entries.map(({ key }) => key)).not.toContain("KUBE-IPVS-IPS 203.0.113.1");
  expect(servers.map(({ server }) => server.key)).toContain("TCP/203.0.113.1:1");
});
