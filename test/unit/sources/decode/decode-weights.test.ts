import { expect, test } from "vitest";
import { decodeEndpointSlice } from "../../../../src/sources/decode/decode-slice.ts";
import { sliceObject } from "../../../support/objects/builders.ts";

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
