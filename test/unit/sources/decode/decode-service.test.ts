import { describe, expect, test } from "vitest";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { NO_OVERRIDES } from "../../../../src/model/cluster/service.ts";
import { decodeService } from "../../../../src/sources/decode/decode-service.ts";
import { type ServiceSpec, service, serviceObject } from "../../../support/objects/builders.ts";
import { decoded, portsOf } from "../../../support/objects/decoded-service.ts";

test("a Service is decoded to the fields that a proxy uses", () => {
  const ports = [
    { name: "http", port: 80, nodePort: 30080 },
    { name: "dns", port: 53, protocol: "UDP" },
  ];
  const said = { ip: ["10.96.0.10", "fd00::A"], ports, affinity: 600, internal: "Local", external: "Local" };
  expect(service("shop/web", said)).toEqual({
    name: "shop/web",
    clusterIPs: ["10.96.0.10", "fd00::a"],
    ports: [
      { key: "http/TCP", protocol: "TCP", port: 80, nodePort: 30080 },
      { key: "dns/UDP", protocol: "UDP", port: 53, nodePort: 0 },
    ],
    affinitySeconds: 600,
    internalTrafficPolicy: "Local",
    externalTrafficPolicy: "Local",
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRanges: undefined,
    healthCheckNodePort: 0,
    clusterDNS: false,
    overrides: NO_OVERRIDES,
  });
});

test("a minimal Service gets the defaults of the API", () => {
  const object = { metadata: { name: "web" }, spec: { clusterIP: "10.96.0.10", ports: [{ port: 80 }] } };
  expect(decodeService(object)).toEqual({
    kind: "accepted",
    name: "default/web",
    problems: [],
    value: {
      name: "default/web",
      clusterIPs: ["10.96.0.10"],
      ports: [{ key: "/TCP", protocol: "TCP", port: 80, nodePort: 0 }],
      affinitySeconds: 0,
      internalTrafficPolicy: "Cluster",
      externalTrafficPolicy: "Cluster",
      externalIPs: [],
      loadBalancerIPs: [],
      sourceRanges: undefined,
      healthCheckNodePort: 0,
      clusterDNS: false,
      overrides: NO_OVERRIDES,
    },
  });
});

test.each<[string, ServiceSpec]>([
  ["is headless", { ip: "None" }],
  ["is headless by clusterIPs alone", { ip: [], spec: { clusterIPs: ["None"] } }],
  ["is an ExternalName", { type: "ExternalName", ip: [] }],
  ["is an ExternalName that still has an address", { type: "ExternalName" }],
  ["belongs to another proxy", { labels: { "service.kubernetes.io/service-proxy-name": "other" } }],
  ["belongs to another proxy with an empty name", { labels: { "service.kubernetes.io/service-proxy-name": "" } }],
])("a Service that %s is ignored without a problem", (_, said) => {
  expect(decodeService(serviceObject("shop/web", said))).toEqual({
    kind: "ignored",
    name: "shop/web",
    problems: [],
  });
});

test("a Service whose address was never allocated is ignored, and reported", () => {
  const result = decodeService(serviceObject("shop/web", { ip: [] }));
  expect(result).toMatchObject({
    kind: "ignored",
    problems: [{ object: problemObject("Service", "shop/web"), field: "spec.clusterIP" }],
  });
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["a list", []],
  ["no metadata", { spec: {} }],
  ["a name with a slash", { metadata: { name: "a/b" }, spec: {} }],
  ["a name in capitals", { metadata: { name: "Web" }, spec: {} }],
  ["a number for a namespace", { metadata: { name: "web", namespace: 1 }, spec: {} }],
  ["no spec", { metadata: { name: "web" } }],
  ["a text for a spec", { metadata: { name: "web" }, spec: "x" }],
])("an object with %s is broken", (_, object) => {
  const result = decodeService(object);
  expect(result.kind).toBe("invalid");
  expect(result.problems).toHaveLength(1);
});

describe("cluster IPs", () => {
  test.each<[string, ServiceSpec, readonly string[], readonly string[]]>([
    ["leading zeros", { ip: "010.096.000.010" }, ["10.96.0.10"], []],
    ["IPv6 first", { ip: ["fd00::a", "10.96.0.10"] }, ["fd00::a", "10.96.0.10"], []],
    ["clusterIP alone", { ip: [], spec: { clusterIP: "10.96.0.10" } }, ["10.96.0.10"], []],
    [
      "families that fit",
      { ip: ["10.96.0.10", "fd00::a"], spec: { ipFamilies: ["IPv4", "IPv6"] } },
      ["10.96.0.10", "fd00::a"],
      [],
    ],
    ["no IP", { ip: ["10.96.0.10", "fd00::x"] }, ["10.96.0.10"], ["spec.clusterIPs[1]=fd00::x: must be an IP address"]],
    [
      "a number",
      { ip: ["10.96.0.10"], spec: { clusterIPs: [7, "10.96.0.10"], clusterIP: "" } },
      ["10.96.0.10"],
      ["spec.clusterIPs[0]=7: must be an IP address"],
    ],
    [
      "two of a family",
      { ip: ["10.96.0.10", "10.96.0.11"] },
      ["10.96.0.10"],
      ["spec.clusterIPs[1]=10.96.0.11: is a second IPv4 address"],
    ],
    [
      "a family that does not fit",
      { ip: ["10.96.0.10", "fd00::a"], spec: { ipFamilies: ["IPv4", "IPv4"] } },
      ["10.96.0.10"],
      ["spec.clusterIPs[1]=fd00::a: is IPv6, but spec.ipFamilies has IPv4"],
    ],
    [
      "no family",
      { ip: ["10.96.0.10", "fd00::a"], spec: { ipFamilies: ["IPv4"] } },
      ["10.96.0.10"],
      ["spec.clusterIPs[1]=fd00::a: has no family in spec.ipFamilies"],
    ],
    [
      "two truths",
      { spec: { clusterIP: "10.96.0.11" } },
      ["10.96.0.10"],
      ["spec.clusterIP=10.96.0.11: differs from spec.clusterIPs[0], which is used instead"],
    ],
    [
      "the unspecified address",
      { ip: ["10.96.0.10", "::"] },
      ["10.96.0.10"],
      ["spec.clusterIPs[1]=::: is the unspecified address"],
    ],
    [
      "a loopback address",
      { ip: ["127.0.0.5", "fd00::a"] },
      ["fd00::a"],
      ["spec.clusterIPs[0]=127.0.0.5: is a loopback address"],
    ],
  ])("%s", (_, said, clusterIPs, faults) => {
    expect(decoded(said)).toMatchObject({ value: { clusterIPs }, faults });
  });
});

test.each<[string, ServiceSpec, string, readonly string[]]>([
  ["NodePort", { type: "NodePort" }, "/TCP 80@30080", []],
  ["LoadBalancer", { type: "LoadBalancer" }, "/TCP 80@30080", []],
  [
    "ClusterIP",
    { type: "ClusterIP" },
    "/TCP 80",
    ["spec.ports[0].nodePort=30080: needs spec.type NodePort or LoadBalancer"],
  ],
  [
    "no known type",
    { type: "Magic" },
    "/TCP 80",
    [
      "spec.type=Magic: must be one of ClusterIP, NodePort, LoadBalancer, ExternalName",
      "spec.ports[0].nodePort=30080: needs spec.type NodePort or LoadBalancer",
    ],
  ],
])("a node port on a Service of type %s", (_, said, port, faults) => {
  expect(portsOf([{ port: 80, nodePort: 30080 }], said)).toEqual({ ports: [port], faults });
});

const timeout = (timeoutSeconds: unknown) => ({
  sessionAffinity: "ClientIP",
  sessionAffinityConfig: { clientIP: { timeoutSeconds } },
});

test.each<[string, Record<string, unknown>, number, readonly string[]]>([
  ["None", { sessionAffinity: "None", sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } }, 0, []],
  ["ClientIP", { sessionAffinity: "ClientIP" }, 10800, []],
  ["one second", timeout(1), 1, []],
  ["a day", timeout(86400), 86400, []],
  [
    "more than a day",
    timeout(86401),
    10800,
    ["spec.sessionAffinityConfig.clientIP.timeoutSeconds=86401: must be a whole number from 1 to 86400"],
  ],
  [
    "no second",
    timeout(0),
    10800,
    ["spec.sessionAffinityConfig.clientIP.timeoutSeconds=0: must be a whole number from 1 to 86400"],
  ],
  [
    "half a second",
    timeout(0.5),
    10800,
    ["spec.sessionAffinityConfig.clientIP.timeoutSeconds=0.5: must be a whole number from 1 to 86400"],
  ],
  ["an unknown kind", { sessionAffinity: "Cookie" }, 0, ["spec.sessionAffinity=Cookie: must be one of None, ClientIP"]],
])("session affinity of %s", (_, spec, affinitySeconds, faults) => {
  expect(decoded({ spec })).toMatchObject({ value: { affinitySeconds }, faults });
});

test("an unknown traffic policy is told and means Cluster", () => {
  const { value, faults } = decoded({ internal: "Near", external: "local" });
  expect([value.internalTrafficPolicy, value.externalTrafficPolicy]).toEqual(["Cluster", "Cluster"]);
  expect(faults).toEqual([
    "spec.internalTrafficPolicy=Near: must be one of Cluster, Local",
    "spec.externalTrafficPolicy=local: must be one of Cluster, Local",
  ]);
});
