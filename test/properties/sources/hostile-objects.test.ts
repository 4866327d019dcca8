import fc from "fast-check";
import { expect, test } from "vitest";
import type { Decoded } from "../../../src/services/cluster-event.ts";
import { decodeNode } from "../../../src/sources/decode/decode-node.ts";
import { decodeService } from "../../../src/sources/decode/decode-service.ts";
import { decodeServiceCIDR } from "../../../src/sources/decode/decode-service-cidr.ts";
import { decodeEndpointSlice } from "../../../src/sources/decode/decode-slice.ts";
import {
  nodeFaults,
  problemFaults,
  serviceCIDRFaults,
  serviceFaults,
  sliceFaults,
} from "../../support/hostile/decoded-faults.ts";
import { HOSTILE_KINDS, type HostileKind, hostileObject } from "../../support/hostile/hostile-objects.ts";
import { assertInBatches, cases } from "../../support/run/cases.ts";

/** Decodes the object and returns the faults of the result. */
const FAULTS: Readonly<Record<HostileKind, (object: object) => readonly string[]>> = {
  Service: (object) => faults("Service", decodeService(object), serviceFaults),
  EndpointSlice: (object) => faults("EndpointSlice", decodeEndpointSlice(object), sliceFaults),
  Node: (object) => faults("Node", decodeNode(object), nodeFaults),
  ServiceCIDR: (object) => faults("ServiceCIDR", decodeServiceCIDR(object), serviceCIDRFaults),
};

function faults<Value>(
  kind: HostileKind,
  decoded: Decoded<string, Value>,
  valueFaults: (value: Value) => readonly string[],
): readonly string[] {
  const { problems } = decoded;
  const found = problemFaults(kind, problems);
  if (decoded.kind === "accepted") return [...found, ...valueFaults(decoded.value)];
  return decoded.kind === "invalid" && problems.length === 0 ? [...found, "broken for no reason"] : found;
}

const seeds = fc.array(fc.noBias(fc.nat()), { minLength: 1, maxLength: 6 });

test.each(HOSTILE_KINDS)(
  "a %s with hostile keys and values is decoded to a valid value, or rejected by object and field",
  async (kind) => {
    const property = fc.property(seeds, (changes) => {
      const object = hostileObject(kind, changes);
      const found = FAULTS[kind](object);
      if (found.length > 0) expect.fail(`wrong: ${found.join(", ")}\n${JSON.stringify(object).slice(0, 5_000)}`);
    });
    await assertInBatches(property, cases(3_000, 250_000));
  },
);

test("decoding hostile objects leaves the prototypes of JavaScript unchanged", () => {
  for (const prototype of [Object.prototype, Array.prototype, String.prototype]) {
    expect(Object.keys(prototype)).toEqual([]);
  }
});
