import { expect, test } from "vitest";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { decodeServiceCIDR } from "../../../../src/sources/decode/decode-service-cidr.ts";
import { serviceCIDR, serviceCIDRObject } from "../../../support/objects/builders.ts";

test("a ServiceCIDR is decoded to its normalised networks", () => {
  const { name, networks } = serviceCIDR("kubernetes", ["10.96.0.0/16", "FD00:96:0::/108"]);
  expect(name).toBe("kubernetes");
  expect(networks.map(({ text }) => text)).toEqual(["10.96.0.0/16", "fd00:96::/108"]);
});

test("an invalid network is reported, and the other one is used", () => {
  const decoded = decodeServiceCIDR(serviceCIDRObject("kubernetes", ["10.96.0.0", "fd00:96::/108"]));
  expect(decoded).toMatchObject({
    kind: "accepted",
    value: { networks: [{ text: "fd00:96::/108" }] },
    problems: [{ object: problemObject("ServiceCIDR", "kubernetes"), field: "spec.cidrs[0]", value: "10.96.0.0" }],
  });
});

test.each<[string, unknown, string]>([
  ["without a name", { spec: { cidrs: [] } }, "metadata"],
  ["without a spec", { metadata: { name: "kubernetes" } }, "spec"],
])("a ServiceCIDR %s is invalid", (_, object, field) => {
  expect(decodeServiceCIDR(object)).toMatchObject({ kind: "invalid", problems: [{ field }] });
});
