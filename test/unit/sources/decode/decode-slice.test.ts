import { describe, expect, test } from "vitest";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { decodeEndpointSlice } from "../../../../src/sources/decode/decode-slice.ts";
import { type PortSpec, type SliceSpec, slice, sliceObject } from "../../../support/objects/builders.ts";

/** What is left of the slice's endpoints as "key address:port", and its faults as "field=value: reason". */
function decoded(object: Record<string, unknown>) {
  const result = decodeEndpointSlice(object);
  if (result.kind !== "accepted") throw new Error(`not wanted: ${JSON.stringify(result)}`);
  const endpoints = [...result.value.endpoints].flatMap(([key, list]) =>
    list.map((endpoint) => `${key} ${endpoint.address}:${endpoint.port}`),
  );
  return {
    value: result.value,
    endpoints,
    faults: result.problems.map((fault) => `${fault.field}=${fault.value}: ${fault.reason}`),
  };
}

test("a slice is reduced to endpoints for each port", () => {
  const pod = {
    ip: "10.244.1.5",
    ready: false,
    serving: true,
    terminating: true,
    node: "node-a",
    zones: ["z1", "z2"],
    nodes: ["node-a"],
  };
  const said = {
    ports: [
      { name: "http", port: 8080 },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
    endpoints: [pod],
  };
  const endpoint = {
    address: "10.244.1.5",
    ready: false,
    serving: true,
    terminating: true,
    nodeName: "node-a",
    zoneHints: ["z1", "z2"],
    nodeHints: ["node-a"],
    weight: 1,
  };
  const { endpoints, ...rest } = slice("shop/web-1", said);
  expect(rest).toEqual({ name: "shop/web-1", service: "shop/web", family: "IPv4", changedAtUnixMs: 0 });
  expect([...endpoints]).toEqual([
    ["http/TCP", [{ ...endpoint, port: 8080 }]],
    ["dns/UDP", [{ ...endpoint, port: 53 }]],
  ]);
});

test.each<[string, SliceSpec]>([
  ["names no Service", { labels: { "kubernetes.io/service-name": "" } }],
  ["belongs to a headless Service", { labels: { "service.kubernetes.io/headless": "" } }],
  ["holds host names", { addressType: "FQDN", endpoints: ["example.com"] }],
])("a slice that %s is unwanted and nothing is wrong with it", (_, said) => {
  const result = decodeEndpointSlice(sliceObject("shop/web-1", { endpoints: ["10.244.1.5"], ...said }));
  expect(result).toEqual({ kind: "ignored", name: "shop/web-1", problems: [] });
});

test("a slice without any labels is unwanted", () => {
  expect(decodeEndpointSlice({ metadata: { name: "web-1" }, addressType: "IPv4" }).kind).toBe("ignored");
});

test.each(["ipv4", "", 4, undefined])("a slice of address type %j is broken", (addressType) => {
  const result = decodeEndpointSlice({ ...sliceObject("shop/web-1"), addressType });
  expect(result).toMatchObject({
    kind: "invalid",
    problems: [{ object: problemObject("EndpointSlice", "shop/web-1"), field: "addressType" }],
  });
});

test("a slice without a name is broken", () => {
  expect(decodeEndpointSlice({ metadata: {} }).kind).toBe("invalid");
});

test("a slice without ports or endpoints has none, and nothing is wrong with it", () => {
  const { endpoints, faults } = decoded({ ...sliceObject("shop/web-1"), ports: null, endpoints: null });
  expect([endpoints, faults]).toEqual([[], []]);
});

test("a field that is null counts as absent, wherever the API allows that, and nothing is wrong with it", () => {
  const nulls = (...keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, null]));
  const conditions = nulls("ready", "serving", "terminating");
  const { endpoints, faults } = decoded({
    ...sliceObject("shop/web-1"),
    ports: [
      nulls("name", "protocol", "port", "appProtocol"),
      { ...nulls("name", "protocol", "appProtocol"), port: 80 },
    ],
    endpoints: [
      { addresses: ["10.0.0.1"], ...nulls("conditions", "hints", "nodeName", "zone", "hostname", "targetRef") },
      { addresses: ["10.0.0.2"], conditions, hints: nulls("forZones", "forNodes") },
      nulls("addresses"),
    ],
  });
  expect([endpoints, faults]).toEqual([["/TCP 10.0.0.1:80", "/TCP 10.0.0.2:80"], []]);
});

test("conditions that are not told mean ready, serving, not terminating", () => {
  const { value } = decoded({
    ...sliceObject("shop/web-1"),
    endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: null } }, { addresses: ["10.0.0.2"] }],
  });
  const states = [...value.endpoints][0]?.[1] ?? expect.fail("no port");
  for (const state of states)
    expect(state).toMatchObject({ ready: true, serving: true, terminating: false, nodeName: "" });
  expect(states).toHaveLength(2);
});

test("only the first address of an endpoint counts", () => {
  const { endpoints } = decoded({
    ...sliceObject("shop/web-1"),
    endpoints: [{ addresses: ["10.0.0.1", "10.0.0.2"] }, { addresses: [] }, {}],
  });
  expect(endpoints).toEqual(["/TCP 10.0.0.1:8080"]);
});

describe("ports: a wrong one is left out and the others stay", () => {
  test.each<[string, PortSpec, string]>([
    ["number 65536", { name: "bad", port: 65536 }, "ports[0].port=65536: must be a whole number from 1 to 65535"],
    [
      "unknown protocol",
      { name: "bad", port: 1, protocol: "tcp" },
      "ports[0].protocol=tcp: must be one of TCP, UDP, SCTP",
    ],
    [
      "wrong name",
      { name: "Bad", port: 1 },
      "ports[0].name=Bad: must be a DNS label: lower case letters, digits and dashes",
    ],
  ])("%s", (_, bad, fault) => {
    const { endpoints, faults } = decoded(
      sliceObject("shop/web-1", { ports: [bad, { name: "good", port: 8080 }], endpoints: ["10.0.0.1"] }),
    );
    expect([endpoints, faults]).toEqual([["good/TCP 10.0.0.1:8080"], [fault]]);
  });

  test.each([{}, { port: null }, { port: 0 }])(
    "one with %j has no number and is passed over without a fault",
    (port) => {
      const object = sliceObject("shop/web-1", { endpoints: ["10.0.0.1"] });
      const { endpoints, faults } = decoded({
        ...object,
        ports: [
          { name: "any", ...port },
          { name: "good", port: 80 },
        ],
      });
      expect([endpoints, faults]).toEqual([["good/TCP 10.0.0.1:80"], []]);
    },
  );

  test("of two with one name and protocol the first stays", () => {
    const { endpoints, faults } = decoded(sliceObject("shop/web-1", { ports: [8080, 9090], endpoints: ["10.0.0.1"] }));
    expect(endpoints).toEqual(["/TCP 10.0.0.1:8080"]);
    expect(faults).toEqual(['ports[1]={"port":9090}: has the name and protocol of an earlier port']);
  });
});

describe("endpoints: a wrong one is left out and the others stay", () => {
  test.each<[string, unknown, string]>([
    ["no IP", { addresses: ["web"] }, "endpoints[0].addresses[0]=web: must be an IPv4 address"],
    ["the other family", { addresses: ["fd00::1"] }, "endpoints[0].addresses[0]=fd00::1: must be an IPv4 address"],
    ["unspecified", { addresses: ["0.0.0.0"] }, "endpoints[0].addresses[0]=0.0.0.0: is the unspecified address"],
    ["loopback", { addresses: ["127.0.0.1"] }, "endpoints[0].addresses[0]=127.0.0.1: is a loopback address"],
    [
      "link-local",
      { addresses: ["169.254.169.254"] },
      "endpoints[0].addresses[0]=169.254.169.254: is a link-local address",
    ],
    ["multicast", { addresses: ["224.0.0.1"] }, "endpoints[0].addresses[0]=224.0.0.1: is a multicast address"],
    [
      "broadcast",
      { addresses: ["255.255.255.255"] },
      "endpoints[0].addresses[0]=255.255.255.255: is the broadcast address",
    ],
    [
      "readiness as text",
      { addresses: ["10.0.0.9"], conditions: { ready: "yes" } },
      "endpoints[0].conditions.ready=yes: must be true or false",
    ],
    [
      "conditions as list",
      { addresses: ["10.0.0.9"], conditions: [] },
      "endpoints[0].conditions=[]: must be an object",
    ],
    ["no object", "10.0.0.9", "endpoints[0]=10.0.0.9: must be an object"],
  ])("%s", (_, bad, fault) => {
    const { endpoints, faults } = decoded({
      ...sliceObject("shop/web-1"),
      endpoints: [bad, { addresses: ["10.0.0.1"] }],
    });
    expect([endpoints, faults]).toEqual([["/TCP 10.0.0.1:8080"], [fault]]);
  });

  test.each(["::", "::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1"])("special-purpose IPv6 address %s", (ip) => {
    const { endpoints, faults } = decoded(
      sliceObject("shop/web-1", { addressType: "IPv6", endpoints: ["fd00::1", ip] }),
    );
    expect(endpoints).toEqual(["/TCP fd00::1:8080"]);
    expect(faults).toHaveLength(1);
  });

  test("wrong hints count as none and the endpoint stays", () => {
    const { value, faults } = decoded({
      ...sliceObject("shop/web-1"),
      endpoints: [{ addresses: ["10.0.0.1"], hints: { forZones: [{ name: "z1" }, "z2", { name: "" }] } }],
    });
    expect([...value.endpoints].flatMap(([, list]) => list)).toMatchObject([{ zoneHints: ["z1"], nodeHints: [] }]);
    expect(faults).toEqual([
      "endpoints[0].hints.forZones[1]=z2: must have a name",
      'endpoints[0].hints.forZones[2]={"name":""}: must have a name',
    ]);
  });
});

describe("the time of the change", () => {
  const at = (time: string) =>
    decoded(sliceObject("shop/web-1", { annotations: { "endpoints.kubernetes.io/last-change-trigger-time": time } }));
  test.each([
    ["2026-01-02T03:04:05Z", 1767323045000],
    ["2026-01-02T03:04:05.678901234Z", 1767323045678],
    ["2026-01-02T04:04:05+01:00", 1767323045000],
    ["", 0],
  ])("%j is %d", (time, changedAtUnixMs) => {
    expect(at(time)).toMatchObject({ value: { changedAtUnixMs }, faults: [] });
  });

  test.each(["yesterday", "2026-01-02", "2026-13-02T03:04:05Z"])("%j is told and means unknown", (time) => {
    const { value, faults } = at(time);
    expect([value.changedAtUnixMs, faults.length]).toEqual([0, 1]);
  });
});

const ADDRESSES = ["10.244.1.5", "10.244.1.6"];
const MUST = "must be address=weight with a weight from 0 to 65535";

/** The weights of two endpoints, and "value: reason" for each fault of the annotation. */
function weighed(annotations: Record<string, string>, addresses = ADDRESSES) {
  const result = decodeEndpointSlice(sliceObject("shop/web-1", { endpoints: addresses, annotations }));
  if (result.kind !== "accepted") throw new Error(`not wanted: ${JSON.stringify(result)}`);
  const weights = [...result.value.endpoints].flatMap(([, list]) => list.map(({ weight }) => weight));
  return { weights, faults: result.problems.map((fault) => `${fault.value}: ${fault.reason}`) };
}

test.each<[string, string, readonly number[], readonly string[]]>([
  ["nothing", "", [1, 1], []],
  ["one", "10.244.1.5=3", [3, 1], []],
  ["both, with spaces", " 10.244.1.5 = 3 , 10.244.1.6=7 ", [3, 7], []],
  ["zero", "10.244.1.5=0", [0, 1], []],
  ["the greatest", "10.244.1.5=65535", [65535, 1], []],
  ["an address that is not there", "10.244.1.9=3", [1, 1], []],
  ["one too great beside a good one", "10.244.1.5=65536,10.244.1.6=2", [1, 2], [`10.244.1.5=65536: ${MUST}`]],
  ["one below zero", "10.244.1.5=-1", [1, 1], [`10.244.1.5=-1: ${MUST}`]],
  ["a fraction", "10.244.1.5=1.5", [1, 1], [`10.244.1.5=1.5: ${MUST}`]],
  ["a name", "web-0=3", [1, 1], [`web-0=3: ${MUST}`]],
  ["no weight", "10.244.1.5", [1, 1], [`10.244.1.5: ${MUST}`]],
  ["a comma too many", "10.244.1.5=3,", [3, 1], [`: ${MUST}`]],
  [
    "two of one address",
    "10.244.1.5=3,10.244.1.5=4",
    [3, 1],
    ["10.244.1.5=4: is a second weight for the same address"],
  ],
])("weights: %s", (_, text, weights, faults) => {
  expect(weighed({ "kube-ipvs.io/weights": text })).toEqual({ weights, faults });
});

test("an IPv6 address may be written in any way", () => {
  const annotations = { "kube-ipvs.io/weights": "FD00:0::5=3" };
  expect(weighed(annotations, ["fd00::5", "fd00::6"])).toEqual({ weights: [3, 1], faults: [] });
});

test("a misspelt annotation is told", () => {
  expect(weighed({ "kube-ipvs.io/weight": "10.244.1.5=3" })).toEqual({
    weights: [1, 1],
    faults: ["10.244.1.5=3: is unknown: must be one of kube-ipvs.io/weights"],
  });
});
