import { describe, expect, test } from "vitest";
import type { DesiredService } from "../../../../src/desired/service/desired-service.ts";
import type { EndpointSpec, PortSpec, ServiceSpec, SliceSpec } from "../../../support/objects/builders.ts";
import { built, type FactsSpec, membersOf } from "../../../support/objects/desired.ts";

/** "TCP/10.96.0.10:80 -> 10.244.1.5:8080 10.244.2.5:8080". */
function servers(found: DesiredService): readonly string[] {
  return found.servers.map(({ server, reals }) => [server.key, "->", ...reals.list().map(({ key }) => key)].join(" "));
}

const LOCAL: EndpointSpec = { ip: "10.244.1.5", ready: true, node: "n1" };
const REMOTE: EndpointSpec = { ip: "10.244.2.5", ready: true, node: "n2" };
const NODE_PORT: PortSpec = { port: 80, nodePort: 30080 };
const slices = (...endpoints: EndpointSpec[]): Record<string, SliceSpec> => ({ "shop/web-1": { endpoints } });

describe("virtual servers", () => {
  const rows: readonly (readonly [string, ServiceSpec, Record<string, SliceSpec>, readonly string[]])[] = [
    ["one endpoint", {}, slices("10.244.1.5"), ["TCP/10.96.0.10:80 -> 10.244.1.5:8080"]],
    ["no slice at all", {}, {}, ["TCP/10.96.0.10:80 ->"]],
    ["no usable endpoint", {}, slices({ ip: "10.244.1.5", ready: false }), ["TCP/10.96.0.10:80 ->"]],
    [
      "each family has its own endpoints",
      { ip: ["10.96.0.10", "fd00:10::a"] },
      { "shop/web-1": { endpoints: ["10.244.1.5"] }, "shop/web-2": { endpoints: ["fd00:1::5"] } },
      ["TCP/10.96.0.10:80 -> 10.244.1.5:8080", "TCP/[fd00:10::a]:80 -> [fd00:1::5]:8080"],
    ],
    [
      "a node port has the same endpoints",
      { ports: [NODE_PORT] },
      slices(LOCAL, REMOTE),
      [
        "TCP/10.96.0.10:80 -> 10.244.1.5:8080 10.244.2.5:8080",
        "TCP/192.168.1.10:30080 -> 10.244.1.5:8080 10.244.2.5:8080",
      ],
    ],
    [
      "internal policy Local applies to the cluster IP alone",
      { ports: [NODE_PORT], internal: "Local" },
      slices(LOCAL, REMOTE),
      ["TCP/10.96.0.10:80 -> 10.244.1.5:8080", "TCP/192.168.1.10:30080 -> 10.244.1.5:8080 10.244.2.5:8080"],
    ],
    [
      "external policy Local applies to the node port alone",
      { ports: [NODE_PORT], external: "Local" },
      slices(LOCAL, REMOTE),
      ["TCP/10.96.0.10:80 -> 10.244.1.5:8080 10.244.2.5:8080", "TCP/192.168.1.10:30080 -> 10.244.1.5:8080"],
    ],
    [
      "Local without local endpoints: none for a cluster IP; for a node port remote ones, which only this node's clients reach",
      { ports: [NODE_PORT], internal: "Local", external: "Local" },
      slices(REMOTE),
      ["TCP/10.96.0.10:80 ->", "TCP/192.168.1.10:30080 -> 10.244.2.5:8080"],
    ],
    [
      "zone hints select endpoints",
      {},
      slices({ ip: "10.244.1.5", zones: ["a"] }, { ip: "10.244.2.5", zones: ["b"] }),
      ["TCP/10.96.0.10:80 -> 10.244.1.5:8080"],
    ],
    [
      "a port without endpoints beside one with",
      {
        ports: [
          { name: "http", port: 80 },
          { name: "admin", port: 81 },
        ],
      },
      { "shop/web-1": { ports: [{ name: "http", port: 8080 }], endpoints: ["10.244.1.5"] } },
      ["TCP/10.96.0.10:80 -> 10.244.1.5:8080", "TCP/10.96.0.10:81 ->"],
    ],
  ];
  test.each(rows)("%s", (_, spec, given, expected) => {
    expect(servers(built("shop/web", spec, given))).toEqual(expected);
  });

  test.each<[string, Record<string, string>, readonly string[]]>([
    ["nothing", {}, ["TCP mh mh-port", "UDP mh mh-port"]],
    ["a scheduler", { "kube-ipvs.io/scheduler": "lc" }, ["TCP lc ", "UDP lc "]],
    ["one-packet mode", { "kube-ipvs.io/one-packet": "true" }, ["TCP mh mh-port", "UDP mh mh-port,one-packet"]],
    [
      "both, and flags",
      {
        "kube-ipvs.io/scheduler": "sh",
        "kube-ipvs.io/scheduler-flags": "sh-port",
        "kube-ipvs.io/one-packet": "true",
      },
      ["TCP sh sh-port", "UDP sh one-packet,sh-port"],
    ],
  ])("a Service on a node with mh may choose %s", (_, annotations, expected) => {
    const ports: readonly PortSpec[] = [
      { name: "dns-tcp", port: 53 },
      { name: "dns", port: 53, protocol: "UDP" },
    ];
    const found = built("shop/web", { ports, annotations }, {}, { scheduler: "mh" });
    expect(
      [...found.servers.values()].map(({ server: s }) => `${s.protocol} ${s.scheduler} ${s.flags.join()}`),
    ).toEqual(expected);
  });

  test("real servers are masqueraded with weight 1", () => {
    const [state] = built("shop/web", {}, slices("10.244.1.5")).servers;
    expect(state?.reals.list()).toMatchObject([{ weight: 1, forwarding: "masquerade" }]);
  });

  const settings: readonly (readonly [string, ServiceSpec, FactsSpec, object])[] = [
    ["the scheduler is the node's", {}, { scheduler: "lc" }, { scheduler: "lc", flags: [], persistenceSeconds: 0 }],
    ["mh hashes the client's port too", {}, { scheduler: "mh" }, { scheduler: "mh", flags: ["mh-port"] }],
    ["affinity persists", { affinity: 600 }, {}, { persistenceSeconds: 600, persistencePrefix: 32 }],
    ["affinity of one IPv6 client", { ip: "fd00:10::a", affinity: 60 }, {}, { persistencePrefix: 128 }],
  ];
  test.each(settings)("%s", (_, spec, node, expected) => {
    const [state] = built("shop/web", spec, {}, node).servers;
    expect(state?.server).toMatchObject(expected);
  });

  test("frontends with the same endpoints share one list", () => {
    const found = built("shop/web", { ports: [NODE_PORT] }, slices(LOCAL), { nodePorts: ["192.168.1.10", "10.1.0.1"] });
    expect(found.servers).toHaveLength(3);
    expect(new Set(found.servers.map(({ reals }) => reals)).size).toBe(1);
  });
});

describe("addresses and set entries", () => {
  const rows: readonly (readonly [string, ServiceSpec, Record<string, SliceSpec>, readonly string[]])[] = [
    ["a cluster IP", {}, {}, ["KUBE-CLUSTER-IP 10.96.0.10,tcp:80", "KUBE-IPVS-IPS 10.96.0.10"]],
    ["IPv6", { ip: "fd00::a" }, {}, ["KUBE-6-CLUSTER-IP fd00::a,tcp:80", "KUBE-6-IPVS-IPS fd00::a"]],
    [
      "two ports share their address",
      {
        ports: [
          { name: "a", port: 53, protocol: "UDP" },
          { name: "b", port: 53 },
        ],
      },
      {},
      ["KUBE-CLUSTER-IP 10.96.0.10,tcp:53", "KUBE-CLUSTER-IP 10.96.0.10,udp:53", "KUBE-IPVS-IPS 10.96.0.10"],
    ],
    [
      "node ports, of SCTP with their address",
      {
        ports: [
          { name: "a", port: 1, nodePort: 30001 },
          { name: "b", port: 2, nodePort: 30002, protocol: "UDP" },
          { name: "c", port: 3, nodePort: 30003, protocol: "SCTP" },
        ],
      },
      {},
      [
        "KUBE-CLUSTER-IP 10.96.0.10,sctp:3",
        "KUBE-CLUSTER-IP 10.96.0.10,tcp:1",
        "KUBE-CLUSTER-IP 10.96.0.10,udp:2",
        "KUBE-IPVS-IPS 10.96.0.10",
        "KUBE-NODE-PORT-SCTP-HASH 192.168.1.10,sctp:30003",
        "KUBE-NODE-PORT-TCP 30001",
        "KUBE-NODE-PORT-UDP 30002",
      ],
    ],
    [
      "hairpin of endpoints on this node, and of those without a node, whatever their state",
      {},
      slices(LOCAL, REMOTE, "10.244.3.5", { ip: "10.244.1.6", ready: false, serving: false, node: "n1" }),
      [
        "KUBE-CLUSTER-IP 10.96.0.10,tcp:80",
        "KUBE-IPVS-IPS 10.96.0.10",
        "KUBE-LOOP-BACK 10.244.1.5,tcp:8080,10.244.1.5",
        "KUBE-LOOP-BACK 10.244.1.6,tcp:8080,10.244.1.6",
        "KUBE-LOOP-BACK 10.244.3.5,tcp:8080,10.244.3.5",
      ],
    ],
    [
      "no hairpin for endpoints of a family that the Service lacks",
      {},
      slices({ ip: "fd00:1::5", node: "n1" }),
      ["KUBE-CLUSTER-IP 10.96.0.10,tcp:80", "KUBE-IPVS-IPS 10.96.0.10"],
    ],
  ];
  test.each(rows)("%s", (_, spec, given, expected) => {
    expect(
      membersOf(built("shop/web", spec, given))
        .map(({ key }) => key)
        .sort(),
    ).toEqual(expected);
  });

  test("only cluster IPs are bound, as the node already has its own addresses", () => {
    const { addresses } = built("shop/web", { ip: ["10.96.0.10", "fd00:10::a"], ports: [NODE_PORT] });
    expect(addresses).toEqual(["10.96.0.10", "fd00:10::a"]);
  });

  test("a node port without an address to serve it has no kernel objects", () => {
    const found = built("shop/web", { ports: [NODE_PORT] }, {}, { nodePorts: [] });
    const { servers } = found;
    expect(membersOf(found).map(({ key }) => key)).toEqual([
      "KUBE-CLUSTER-IP 10.96.0.10,tcp:80",
      "KUBE-IPVS-IPS 10.96.0.10",
    ]);
    expect(servers).toHaveLength(1);
  });
});
