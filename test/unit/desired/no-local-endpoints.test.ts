import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import { NoLocalEndpoints, type Traffic } from "../../../src/desired/no-local-endpoints.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import { serviceName, TRAFFIC_SIDES } from "../../../src/model/cluster/service.ts";
import { type EndpointSpec, type ServiceSpec, service, slice } from "../../support/objects/builders.ts";
import { facts } from "../../support/objects/desired.ts";

const ALL_TRAFFIC = TRAFFIC_SIDES.flatMap((side) => FAMILIES.map((family): Traffic => `${side}/${family}`));

function countsOf(counted: NoLocalEndpoints): Readonly<Partial<Record<Traffic, number>>> {
  const all = TRAFFIC_SIDES.flatMap((side) =>
    FAMILIES.map((family) => [`${side}/${family}`, counted.count(side, family)] as const),
  );
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

/** A Service of both families with every kind of frontend. */
function put(state: DesiredStateBuilder, name: string, number: number, said: ServiceSpec): void {
  const exposed: ServiceSpec = {
    ip: [`10.96.0.${number}`, `fd00:96::${number}`],
    ports: [
      { name: "a", port: 80, nodePort: 30_000 + number },
      { name: "b", port: 81 },
    ],
    externalIPs: [`198.51.100.${number}`, `2001:db8::${number}`],
  };
  state.apply({ kind: "service-upserted", service: service(name, { ...exposed, ...said }) });
}

function putPods(state: DesiredStateBuilder, name: string, endpoints: readonly EndpointSpec[]): void {
  const ports = [
    { name: "a", port: 80 },
    { name: "b", port: 81 },
  ];
  for (const addressType of FAMILIES) {
    const ofFamily = endpoints.filter(
      (one) => (typeof one === "string" ? one : one.ip).includes(":") === (addressType === "IPv6"),
    );
    state.apply({
      kind: "slice-upserted",
      slice: slice(`${name}-${addressType.toLowerCase()}`, { addressType, ports, endpoints: ofFamily }),
    });
  }
}

const HERE: readonly EndpointSpec[] = [
  { ip: "10.244.1.5", node: "n1", ready: true },
  { ip: "fd00:244:1::5", node: "n1", ready: true },
];
const THERE: readonly EndpointSpec[] = [
  { ip: "10.244.2.5", node: "n2", ready: true },
  { ip: "fd00:244:2::5", node: "n2", ready: true },
];
const DEAD: readonly EndpointSpec[] = [{ ip: "10.244.2.5", node: "n2", ready: false }];
const INTERNAL = { "internal/IPv4": 1, "internal/IPv6": 1 };
const EXTERNAL = { "external/IPv4": 1, "external/IPv6": 1 };

describe("a Service counts as without local endpoints", () => {
  test.each<[string, ServiceSpec, readonly EndpointSpec[], Partial<Record<Traffic, number>>]>([
    ["never with the policies Cluster", {}, THERE, {}],
    ["with the internal policy Local", { internal: "Local" }, THERE, INTERNAL],
    ["with the external policy Local", { external: "Local" }, THERE, EXTERNAL],
    [
      "with both policies Local, once for all its frontends",
      { internal: "Local", external: "Local" },
      THERE,
      { ...INTERNAL, ...EXTERNAL },
    ],
    ["never with an endpoint on this node", { internal: "Local", external: "Local" }, [...HERE, ...THERE], {}],
    [
      "in the family that has no endpoint on this node",
      { internal: "Local" },
      [...HERE.slice(0, 1), ...THERE],
      { "internal/IPv6": 1 },
    ],
    ["never without any endpoint", { internal: "Local", external: "Local" }, [], {}],
    ["never without a usable endpoint", { internal: "Local", external: "Local" }, DEAD, {}],
    [
      "never if the policy applies to no frontend",
      { external: "Local", externalIPs: [], ports: [{ name: "b", port: 81 }] },
      THERE,
      {},
    ],
  ])("%s", (_, said, endpoints, expected) => {
    const state = new DesiredStateBuilder(facts({ nodePorts: ["192.168.1.10", "fd01::10"] }));
    put(state, "shop/web", 1, said);
    putPods(state, "shop/web", endpoints);
    state.advance(Number.POSITIVE_INFINITY);
    expect(countsOf(state.noLocalEndpoints)).toEqual(expected);
  });

  test("until it changes", () => {
    const state = new DesiredStateBuilder(facts());
    const counts = () => {
      state.advance(Number.POSITIVE_INFINITY);
      return countsOf(state.noLocalEndpoints);
    };
    for (const [index, name] of ["shop/a", "shop/b"].entries()) {
      put(state, name, index + 1, { internal: "Local" });
      putPods(state, name, THERE);
    }
    expect(counts()).toEqual({ "internal/IPv4": 2, "internal/IPv6": 2 });
    putPods(state, "shop/a", [...HERE, ...THERE]);
    expect(counts()).toEqual({ "internal/IPv4": 1, "internal/IPv6": 1 });
    putPods(state, "shop/a", THERE);
    put(state, "shop/b", 2, {});
    expect(counts()).toEqual({ "internal/IPv4": 1, "internal/IPv6": 1 });
    state.setFacts(facts({ node: "n2" }));
    expect(counts()).toEqual({});
    state.setFacts(facts());
    state.apply({ kind: "service-deleted", name: serviceName("shop", "a") });
    expect(counts()).toEqual({});
  });
});

test.each<[string, ServiceSpec, readonly EndpointSpec[], boolean]>([
  ["no endpoint", {}, [], true],
  ["an endpoint that is not ready", {}, DEAD, true],
  ["an endpoint on another node", {}, THERE, false],
  ["an endpoint of one family", {}, THERE.slice(0, 1), false],
  ["endpoints on other nodes and the policy Local", { internal: "Local", external: "Local" }, THERE, false],
  ["no endpoint and the policy Local", { internal: "Local", external: "Local" }, [], true],
])("a Service with %s: whether it counts as one without endpoints", (_, said, endpoints, expected) => {
  const state = new DesiredStateBuilder(facts());
  put(state, "shop/web", 1, said);
  putPods(state, "shop/web", endpoints);
  state.advance(Number.POSITIVE_INFINITY);
  expect(state.withoutEndpoints).toEqual(new Set(expected ? [serviceName("shop", "web")] : []));
  state.apply({ kind: "service-deleted", name: serviceName("shop", "web") });
  state.advance(Number.POSITIVE_INFINITY);
  expect(state.withoutEndpoints.size).toBe(0);
});

test("the counts are those of the last update of each Service", () => {
  const change = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    dropped: fc.option(fc.subarray(ALL_TRAFFIC), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const counted = new NoLocalEndpoints();
      for (const { name, dropped } of changes) counted.replace(serviceName("shop", name), dropped);
      const last = [...new Map(changes.map(({ name, dropped }) => [name, dropped ?? []])).values()].flat();
      const expected = ALL_TRAFFIC.map((traffic) => [traffic, last.filter((one) => one === traffic).length] as const);
      expect(countsOf(counted)).toEqual(Object.fromEntries(expected.filter(([, count]) => count > 0)));
    }),
  );
});
