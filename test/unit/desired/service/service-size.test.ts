import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../../src/desired/desired-state-builder.ts";
import { type DesiredService, desiredServiceSteps } from "../../../../src/desired/service/desired-service.ts";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { serviceName } from "../../../../src/model/cluster/service.ts";
import { mergeSlices } from "../../../../src/services/endpoints.ts";
import { type PortSpec, type ServiceSpec, type SliceSpec, service } from "../../../support/objects/builders.ts";
import { built, facts, membersOf } from "../../../support/objects/desired.ts";

const ip = (net: string, index: number): string => `${net}.${index >> 8}.${index & 255}`;
const ips = (net: string, count: number) => Array.from({ length: count }, (_, index) => ip(net, index));
const ranges = (count: number) => ips("198.51", count).map((address) => `${address}/32`);
const ports = (count: number): PortSpec[] =>
  Array.from({ length: count }, (_, index) => ({ name: `p${index}`, port: 1_000 + index }));
const slice = (portCount: number, endpoints: NonNullable<SliceSpec["endpoints"]>): Record<string, SliceSpec> => ({
  "shop/web-1": { ports: ports(portCount), endpoints },
});
const onNode = (node: string, count: number) => ips("10.244", count).map((address) => ({ ip: address, node }));

const realsOf = ({ servers }: DesiredService) => servers.reduce((sum, { reals }) => sum + reals.size, 0);

describe("a Service that would be too large", () => {
  test.each<[string, ServiceSpec, Record<string, SliceSpec>, number, string]>([
    [
      "external IPs x endpoints",
      { ports: ports(1), externalIPs: ips("203.0", 400) },
      slice(1, onNode("n2", 1_000)),
      200,
      "TCP/203.0.0.199:1000",
    ],
    [
      "ports x endpoints that are not used",
      { ports: ports(30), internal: "Local" },
      slice(30, onNode("n2", 10_000)),
      20,
      "TCP/10.96.0.10:1020",
    ],
    [
      "ports x copies of endpoints in many slices",
      { ports: ports(30) },
      Object.fromEntries(
        Array.from({ length: 100 }, (_, index) => [
          `shop/web-${index}`,
          { ports: ports(30), endpoints: ips("10.244", 100) },
        ]),
      ),
      20,
      "TCP/10.96.0.10:1020",
    ],
    [
      "load balancer IPs x source ranges",
      { ports: ports(1), loadBalancerIPs: ips("203.0", 60), sourceRanges: ranges(1_000) },
      {},
      21,
      "TCP/203.0.0.20:1000",
    ],
    ["ports x endpoints on this node", { ports: ports(60) }, slice(60, onNode("n1", 1_000)), 20, "TCP/10.96.0.10:1020"],
  ])(
    "%s: the first frontends are served, and one problem names the first that is not",
    (_, said, slices, count, cut) => {
      const found = built("shop/web", said, slices);
      expect(found.servers).toHaveLength(count);
      expect(found.tooLarge).toMatchObject({ object: problemObject("Service", "shop/web"), field: "spec", value: cut });
      expect(realsOf(found)).toBeLessThanOrEqual(200_000);
      expect(membersOf(found).length).toBeLessThanOrEqual(20_000 + 3 * count);
      const served = new Set(found.servers.map(({ server }) => server.port));
      for (const { port = 1_000 } of membersOf(found)) if (!served.has(port)) expect.fail(`A member has port ${port}`);
    },
  );

  test.each<[string, ServiceSpec, Record<string, SliceSpec>, number]>([
    [
      "10,000 endpoints of 20 frontends",
      { ports: ports(1), externalIPs: ips("203.0", 19) },
      slice(1, onNode("n2", 10_000)),
      20,
    ],
    [
      "1,000 ports of 100 endpoints at two addresses",
      { ports: ports(1_000), externalIPs: ["203.0.113.1"] },
      slice(1_000, onNode("n2", 100)),
      2_000,
    ],
    [
      "1,000 source ranges of 20 load balancer frontends",
      { ports: ports(20), loadBalancerIPs: ["203.0.113.1"], sourceRanges: ranges(1_000) },
      {},
      40,
    ],
  ])("%s: all are served", (_, said, slices, count) => {
    const found = built("shop/web", said, slices);
    expect(found.servers).toHaveLength(count);
    expect(found.tooLarge).toBeUndefined();
  });

  test("an address whose restriction does not fit is not served, though it is an external IP as well", () => {
    const addresses = ips("203.0", 60);
    fc.assert(
      fc.property(
        fc.record({
          balanced: fc.integer({ min: 0, max: 60 }),
          ranges: fc.integer({ min: 1, max: 4_000 }),
          external: fc.subarray(addresses),
          ports: fc.integer({ min: 1, max: 3 }),
        }),
        (one) => {
          const balanced = addresses.slice(0, one.balanced);
          const found = built("shop/web", {
            ports: ports(one.ports),
            loadBalancerIPs: balanced,
            externalIPs: one.external,
            sourceRanges: ranges(one.ranges),
          });
          expect(membersOf(found).length).toBeLessThan(21_000);
          for (const { server, entries } of found.servers) {
            if (!balanced.includes(server.address)) continue;
            const restricting = entries.filter(({ set }) => /-(FW|SOURCE-CIDR)$/.test(set.name));
            expect(restricting).toHaveLength(one.ranges + 1);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  test("the order of slices and endpoints does not matter", () => {
    const many = ips("10.244", 3_000);
    const said: ServiceSpec = { ports: ports(2), externalIPs: ips("203.0", 40) };
    const two = (first: readonly string[], second: readonly string[]) =>
      [first, second].map((endpoints): SliceSpec => ({ ports: ports(2), endpoints }));
    const [a = {}, b = {}] = two(many.slice(0, 2_000), many.slice(2_000));
    const [c = {}, d = {}] = two(many.slice(0, 2_000).toReversed(), many.slice(2_000).toReversed());
    const found = built("shop/web", said, { "shop/web-1": a, "shop/web-2": b });
    expect(found.tooLarge).toBeDefined();
    expect(built("shop/web", said, { "shop/web-2": d, "shop/web-1": c })).toEqual(found);
  });
});

test("a Service that is too large has a problem while it is too large", () => {
  const state = new DesiredStateBuilder(facts());
  const put = (addresses: number): void => {
    const said = { loadBalancerIPs: ips("203.0", addresses), sourceRanges: ranges(10_000) };
    state.apply({ kind: "service-upserted", service: service("shop/web", said) });
    state.advance(Number.POSITIVE_INFINITY);
  };
  put(3);
  expect(state.problems.all()).toEqual([expect.objectContaining({ value: "TCP/203.0.0.2:80" })]);
  expect([...state.desired.addresses()]).not.toContain("203.0.0.2");
  put(2);
  expect(state.problems.all()).toEqual([]);
  put(3);
  state.apply({ kind: "service-deleted", name: serviceName("shop", "web") });
  state.advance(Number.POSITIVE_INFINITY);
  expect(state.problems.all()).toEqual([]);
});

test("many source ranges of one frontend are computed in many steps", () => {
  const said = { loadBalancerIPs: ["203.0.113.1"], sourceRanges: ranges(10_000) };
  const source = {
    service: service("shop/web", said),
    endpoints: mergeSlices([]),
    facts: facts(),
    markOf: () => undefined,
  };
  expect([...desiredServiceSteps(source)].length).toBeGreaterThan(30);
});
