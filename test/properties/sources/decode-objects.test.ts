import fc from "fast-check";
import { expect, test } from "vitest";
import { problemObjectText } from "../../../src/model/cluster/problem.ts";
import { decodeNode } from "../../../src/sources/decode/decode-node.ts";
import { decodeService } from "../../../src/sources/decode/decode-service.ts";
import { decodeEndpointSlice } from "../../../src/sources/decode/decode-slice.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";

const { STRESS = "1" } = process.env;
const RUNS = 2_000 * Number(STRESS);

const KINDS = [
  {
    decode: decodeService,
    object: serviceObject("shop/web", {
      ip: ["10.96.0.1", "fd00::1"],
      ports: [80, { name: "dns", port: 53, protocol: "UDP", nodePort: 30053 }],
      affinity: 60,
      internal: "Local",
      external: "Local",
      externalIPs: ["203.0.113.5"],
      loadBalancerIPs: ["198.51.100.5"],
      sourceRanges: ["192.0.2.0/24"],
      healthCheckNodePort: 31000,
      annotations: {
        "kube-ipvs.io/scheduler": "mh",
        "kube-ipvs.io/scheduler-flags": "mh-port",
        "kube-ipvs.io/one-packet": "true",
        "kube-ipvs.io/drain-timeout": "30s",
      },
    }),
  },
  {
    decode: decodeEndpointSlice,
    object: sliceObject("shop/web-1", {
      ports: [8080, { name: "dns", port: 53, protocol: "UDP" }],
      endpoints: ["10.0.0.1", { ip: "10.0.0.2", ready: false, node: "a", zones: ["z"], nodes: ["a"] }],
      annotations: {
        "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z",
        "kube-ipvs.io/weights": "10.0.0.1=3",
      },
    }),
  },
  {
    decode: decodeNode,
    object: nodeObject("node-a", { zone: "z", ips: ["192.168.0.1"], podCIDRs: ["10.1.0.0/24"], taints: ["x"] }),
  },
];

/** Values that YAML can make beside JSON, and more: without toString, with an invalid toString, of every type, and circular. */
const ANYTHING = fc.oneof(
  fc.jsonValue(),
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true }),
  fc.jsonValue().map((value) => ({ toString: value, toJSON: value, valueOf: value })),
  fc.jsonValue().map((value) => {
    const circle: unknown[] = [value];
    circle.push(circle, { circle });
    return circle;
  }),
);

/** A copy of the JSON value in which the `at`-th value, counted from the outside in, is another one. */
function replaced(value: unknown, at: { count: number }, other: unknown): unknown {
  at.count -= 1;
  if (at.count < 0) return at.count === -1 ? other : value;
  if (Array.isArray(value)) return value.map((item) => replaced(item, at, other));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, at, other)]));
}

test("an object with any value anywhere in it is decoded, or has a problem", () => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.nat(60), ANYTHING, ({ decode, object }, count, other) => {
      const decoded = decode(replaced(object, { count }, other));
      if (decoded.kind === "invalid") expect(decoded.problems).not.toEqual([]);
      for (const fault of decoded.problems) {
        expect(problemObjectText(fault.object)).toMatch(/^(Service|EndpointSlice|Node) /);
        if (fault.field === "") expect(fault.value).toMatch(/^\d+ more problems$/);
        expect(fault.reason).not.toBe("");
      }
    }),
    { numRuns: RUNS },
  );
});

test("an invalid port or endpoint never affects another one", () => {
  fc.assert(
    fc.property(ANYTHING, (wrong) => {
      const service = decodeService({
        ...serviceObject("shop/web", { spec: { ports: [wrong, { name: "good", port: 443 }] } }),
      });
      if (service.kind !== "accepted") return expect.fail("the Service is gone");
      expect(service.value.ports.map((port) => port.key)).toContain("good/TCP");
      const slice = decodeEndpointSlice({
        ...sliceObject("shop/web-1"),
        endpoints: [wrong, { addresses: ["10.0.0.1"] }],
      });
      if (slice.kind !== "accepted") return expect.fail("the slice is gone");
      expect([...slice.value.endpoints].flatMap(([, list]) => list).map((endpoint) => endpoint.address)).toContain(
        "10.0.0.1",
      );
    }),
    { numRuns: RUNS },
  );
});
