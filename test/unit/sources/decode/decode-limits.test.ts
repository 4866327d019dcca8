import { describe, expect, test } from "vitest";
import { type Problem, problemObject } from "../../../../src/model/cluster/problem.ts";
import { decodeNode } from "../../../../src/sources/decode/decode-node.ts";
import { decodeService } from "../../../../src/sources/decode/decode-service.ts";
import { decodeServiceCIDR } from "../../../../src/sources/decode/decode-service-cidr.ts";
import { decodeEndpointSlice } from "../../../../src/sources/decode/decode-slice.ts";

type Decode = (object: object) => { readonly problems: readonly Problem[] };

const times = <Item>(count: number, item: (index: number) => Item) =>
  Array.from({ length: count }, (_, at) => item(at));
const metadata = (annotations: object = {}) => ({ name: "web", namespace: "shop", annotations });
const unknown = (count: number) => Object.fromEntries(times(count, (at) => [`kube-ipvs.io/x${at}`, "y"]));
const service = (spec: object, annotations?: object) => ({
  metadata: metadata(annotations),
  spec: { clusterIP: "10.96.0.1", ports: [{ port: 80 }], ...spec },
});
const slice = (rest: object, annotations?: object) => ({
  metadata: { ...metadata(annotations), labels: { "kubernetes.io/service-name": "web" } },
  addressType: "IPv4",
  ports: [{ port: 80 }],
  ...rest,
});

/** Objects with so many problems. */
const WRONG: readonly (readonly [string, Decode, (count: number) => object])[] = [
  [
    "an IPv4 Service with IPv6 external IPs",
    decodeService,
    (count) => service({ externalIPs: times(count, (at) => `2001:db8::${(at % 65_536).toString(16)}`) }),
  ],
  ["unknown kube-ipvs.io/ annotations", decodeService, (count) => service({}, unknown(count))],
  ["cluster IPs of no family", decodeService, (count) => service({ clusterIPs: times(count + 1, () => "10.96.0.1") })],
  [
    "source ranges that are none",
    decodeService,
    (count) => service({ type: "LoadBalancer", loadBalancerSourceRanges: times(count, () => "x") }),
  ],
  ["ports that are none", decodeService, (count) => service({ ports: times(count, () => 5) })],
  ["endpoints that are none", decodeEndpointSlice, (count) => slice({ endpoints: times(count, () => "x") })],
  [
    "endpoints with a wrong address",
    decodeEndpointSlice,
    (count) => slice({ endpoints: times(count, () => ({ addresses: ["10.0.0.256"] })) }),
  ],
  ["unknown annotations of a slice", decodeEndpointSlice, (count) => slice({}, unknown(count))],
  [
    "addresses and networks of a Node",
    decodeNode,
    (count) => ({ ...service({}), status: { addresses: times(count, () => ({ type: "InternalIP", address: "x" })) } }),
  ],
  [
    "networks of a ServiceCIDR",
    decodeServiceCIDR,
    (count) => ({ metadata: metadata(), spec: { cidrs: times(count, () => "x") } }),
  ],
];

function cpuOf(decode: Decode, object: object): number {
  const start = process.cpuUsage();
  decode(object);
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

describe("of 9,990 problems of one object ten and the number of the others are reported", () => {
  test.each(WRONG)("%s", (_what, decode, make) => {
    const { problems } = decode(make(9_990));
    expect(problems).toHaveLength(11);
    expect(problems[10]).toMatchObject({ field: "", value: "9980 more problems", reason: "are not listed" });
    expect(decode(make(10)).problems).toHaveLength(10);
  });

  test.each(WRONG)("the cost of %s is linear", (_what, decode, make) => {
    const [few, many] = [make(4_000), make(64_000)];
    decode(few);
    const once = Math.max(cpuOf(decode, few), cpuOf(decode, few), 1000);
    expect(cpuOf(decode, many) / once).toBeLessThan(16 * 5);
  });
});

test("of 120,000 external IPs the first 10,000 are read, and the others are one problem", () => {
  const externalIPs = times(120_000, (at) => `11.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
  const decoded = decodeService(service({ externalIPs }));
  expect(decoded.kind === "accepted" ? decoded.value.externalIPs : []).toEqual(externalIPs.slice(0, 10_000));
  expect(decoded.problems).toEqual([
    {
      object: problemObject("Service", "shop/web"),
      field: "spec.externalIPs",
      value: "120000 elements",
      reason: "exceed the limit of 10000: the other elements are ignored",
    },
  ]);
});

describe("the cost of a huge text is linear", () => {
  const weights = (count: number) => times(count, (at) => `10.0.${at >> 8}.${at & 255}=1`).join();
  test("of a weights annotation at most 64 KiB are read", () => {
    const annotation = "kube-ipvs.io/weights";
    expect(decodeEndpointSlice(slice({}, { [annotation]: weights(4_000) })).problems).toEqual([]);
    const { problems } = decodeEndpointSlice(slice({}, { [annotation]: weights(20_000) }));
    expect(problems).toEqual([expect.objectContaining({ reason: "must not be longer than 65536 characters" })]);
    expect(problems[0]?.value.length).toBeLessThan(210);
  });

  test.each([
    ["digits as a drain timeout", (text: string) => service({}, { "kube-ipvs.io/drain-timeout": text })],
    ["digits as an external IP", (text: string) => service({ externalIPs: [text, `::${text}`, `${text}/8`] })],
  ])("%s", (_what, make) => {
    const usual = Math.max(cpuOf(decodeService, make("1")), cpuOf(decodeService, make("1")), 1000);
    expect(cpuOf(decodeService, make("1".repeat(200_000))) / usual).toBeLessThan(100);
  });
});
