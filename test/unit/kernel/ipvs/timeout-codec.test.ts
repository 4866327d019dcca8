import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeTimeouts, encodeGetTimeouts, encodeSetTimeout } from "../../../../src/kernel/ipvs/timeout-codec.ts";
import { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import { IPVS_TIMEOUTS, type IpvsTimeoutName } from "../../../../src/model/kernel/ipvs.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

const FAMILY = 31;
const { attribute, generic, u32 } = naive;

const encoded = (encode: (writer: AttributeWriter) => void): naive.Bytes => {
  const writer = new AttributeWriter(8);
  encode(writer);
  return [...writer.written()];
};
const message = (body: naive.Bytes) => ({ type: FAMILY, flags: 0, sequence: 1, payload: Uint8Array.from(body) });
const answer = (...attributes: naive.Bytes[]) => message([12, 1, 0, 0, ...attributes.flat()]);

test("the request for the timeouts has no attributes", () => {
  expect(encoded((writer) => encodeGetTimeouts(writer, FAMILY))).toEqual(generic(FAMILY, 1, 13));
});

test.each<[IpvsTimeoutName, number]>([
  ["tcp", 4],
  ["tcpfin", 5],
  ["udp", 6],
])("only the timeout %s is set, as attribute %d", (name, type) => {
  expect(encoded((writer) => encodeSetTimeout(writer, FAMILY, name, 86_400))).toEqual(
    generic(FAMILY, 1, 12, attribute(type, u32(86_400))),
  );
});

test("the timeouts of an answer are decoded, in any order and among other attributes", () => {
  const seconds = fc.nat({ max: 2 ** 31 - 1 });
  const timeouts = fc.record({ tcp: seconds, tcpfin: seconds, udp: seconds }, { requiredKeys: [] });
  fc.assert(
    fc.property(timeouts, fc.boolean(), (told, reversed) => {
      const attributes = IPVS_TIMEOUTS.flatMap((name, index) => {
        const value = told[name];
        return value === undefined ? [] : [attribute(index + 4, u32(value))];
      });
      const ordered = reversed ? attributes.reverse() : attributes;
      expect(decodeTimeouts(answer(attribute(77, u32(1)), ...ordered))).toEqual(told);
    }),
  );
});

test("an answer with a truncated timeout is invalid", () => {
  expect(decodeTimeouts(answer(attribute(4, u32(900)), attribute(6, [1, 0])))).toBeUndefined();
});

test("an answer of random bytes never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      decodeTimeouts(message([...bytes]));
    }),
  );
});
