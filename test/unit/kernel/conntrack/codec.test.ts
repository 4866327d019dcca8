import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFlow, encodeDeleteFlow, encodeListFlows } from "../../../../src/kernel/conntrack/codec.ts";
import { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { address } from "../../../support/objects/desired.ts";
import { flowAttributes, flowMessage, tuple4, tuple6 } from "./naive-flows.ts";

const { attribute, be16, message, nested, u32 } = naive;

const encoded = (encode: (writer: AttributeWriter) => void): naive.Bytes => {
  const writer = new AttributeWriter(8);
  encode(writer);
  return [...writer.written()];
};

test.each<[string, naive.Bytes, naive.Bytes]>([
  [
    "all UDP flows of IPv4",
    encoded((w) => encodeListFlows(w, { family: "IPv4", protocol: "UDP" })),
    message(
      0x101,
      0x301,
      0,
      [2, 0, 0, 0],
      nested(1, nested(2, attribute(1, [17]))),
      nested(25, attribute(1, u32(8)), attribute(2, u32(0))),
    ),
  ],
  [
    "the UDP flows to one address and port of IPv4",
    encoded((w) =>
      encodeListFlows(w, { family: "IPv4", protocol: "UDP", to: { address: address("10.96.0.1"), port: 53 } }),
    ),
    message(
      0x101,
      0x301,
      0,
      [2, 0, 0, 0],
      nested(
        1,
        nested(1, attribute(2, naive.ipv4("10.96.0.1"))),
        nested(2, attribute(1, [17]), attribute(3, be16(53))),
      ),
      nested(25, attribute(1, u32(0x2a)), attribute(2, u32(0))),
    ),
  ],
  [
    "the TCP flows of IPv4 without a reply",
    encoded((w) => encodeListFlows(w, { family: "IPv4", protocol: "TCP", isUnreplied: true })),
    message(
      0x101,
      0x301,
      0,
      [2, 0, 0, 0],
      nested(1, nested(2, attribute(1, [6]))),
      nested(25, attribute(1, u32(8)), attribute(2, u32(0))),
      attribute(3, naive.be32(0)),
      attribute(26, naive.be32(2)),
    ),
  ],
  [
    "the SCTP flows to one port of IPv6, by whose addresses Linux filters the wrong way round",
    encoded((w) =>
      encodeListFlows(w, { family: "IPv6", protocol: "SCTP", to: { address: address("fd00::1"), port: 300 } }),
    ),
    message(
      0x101,
      0x301,
      0,
      [10, 0, 0, 0],
      nested(1, nested(2, attribute(1, [132]), attribute(3, be16(300)))),
      nested(25, attribute(1, u32(0x28)), attribute(2, u32(0))),
    ),
  ],
])("a list of %s has the bytes that the kernel expects", (_, bytes, expected) => {
  expect(bytes).toEqual(expected);
});

const DNS = { to: tuple4(17, "10.0.0.9:4000", "10.96.0.10:53"), back: tuple4(17, "10.244.0.5:5353", "10.0.0.9:4000") };
const DNS6 = {
  to: tuple6(17, ["fd00:0:0:0:0:0:0:9", 4000], ["fd00:96:0:0:0:0:0:a", 53]),
  back: tuple6(17, ["fd00:244:0:0:0:0:0:5", 5353], ["fd00:0:0:0:0:0:0:9", 4000]),
};

test.each([
  ["IPv4", DNS, "UDP/10.96.0.10:53", "10.244.0.5:5353"],
  ["IPv6", DNS6, "UDP/[fd00:96::a]:53", "[fd00:244::5]:5353"],
])("a flow of %s is read, and can be deleted by its tuple and id", (family, flow, to, from) => {
  const decoded = decodeFlow(flowMessage({ ...flow, id: 7 }));
  if (decoded === undefined || decoded === "other") throw new Error("not read");
  expect(decoded).toMatchObject({ family, to, from, isReplied: false });
  expect(decodeFlow(flowMessage({ ...flow, id: 7, status: 10 }))).toMatchObject({ isReplied: true });
  expect(encoded((w) => encodeDeleteFlow(w, decoded))).toEqual(
    message(0x102, 1, 0, [family === "IPv4" ? 2 : 10, 0, 0, 0], nested(1, flow.to), attribute(12, naive.be32(7))),
  );
});

test("an entry that is no flow to a Service is distinguished from an unreadable one", () => {
  const icmp = nested(2, attribute(1, [1]), attribute(4, be16(9)), attribute(5, [8]), attribute(6, [0]));
  const ping = [...nested(1, attribute(1, naive.ipv4("10.0.0.9")), attribute(2, naive.ipv4("10.0.0.1"))), ...icmp];
  expect(decodeFlow(flowMessage({ to: ping, back: ping, id: 1 }))).toBe("other");
  expect(decodeFlow(flowMessage({ ...DNS, id: 1 }, attribute(18, be16(5))))).toBe("other");
  expect(decodeFlow(flowMessage({ ...DNS, id: 1 }, attribute(18, be16(0))))).toMatchObject({ to: "UDP/10.96.0.10:53" });
  expect(decodeFlow({ ...flowMessage({ ...DNS, id: 1 }), type: 0x601 })).toBeUndefined();
  expect(decodeFlow(flowMessage({ to: DNS.to, back: [], id: 1 }))).toBeUndefined();
  const withoutId = [0, 0, 0, 0, ...nested(1, DNS.to), ...nested(2, DNS.back)];
  expect(decodeFlow({ ...flowMessage({ ...DNS, id: 1 }), payload: Uint8Array.from(withoutId) })).toBeUndefined();
  const broken = [2, 0, 0, 0, ...flowAttributes({ ...DNS, id: 1 }), 9, 0, 1, 0, 1];
  expect(decodeFlow({ ...flowMessage({ ...DNS, id: 1 }), payload: Uint8Array.from(broken) })).toBeUndefined();
});

test("random bytes in place of a flow never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (payload) => {
      const flow = decodeFlow({ type: 0x100, flags: 0, sequence: 1, payload });
      expect(flow === undefined || flow === "other" || flow.to.length > 0).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
