import { expect, test } from "vitest";
import { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import type { Message } from "../../../../src/kernel/netlink/message.ts";
import { decodeRoute, encodeDeleteRoute, encodeGetRoutes, encodeNewRoute } from "../../../../src/kernel/route/codec.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { address } from "../../../support/objects/desired.ts";

const { attribute, u32 } = naive;

const encoded = (encode: (writer: AttributeWriter) => void): naive.Bytes => {
  const writer = new AttributeWriter(8);
  encode(writer);
  return [...writer.written()];
};
const LOCAL_TABLE = 255;
const LOCAL = 2;
const OURS = 173;
/** The header of a route: family, prefix, then table, protocol, scope and type. */
const rtmsg = (family: number, prefix: number, table: number, protocol: number, scope: number, type: number) => [
  ...[family, prefix, 0, 0, table, protocol, scope, type],
  ...u32(0),
];
const VIP = naive.ipv4("10.96.0.1");
const VIP6 = naive.ipv6("fd00:96:0:0:0:0:0:1");
/** The device lo, and the metric. */
const WHERE = [attribute(4, u32(1)), attribute(6, u32(173))];

test.each<[string, naive.Bytes, naive.Bytes]>([
  [
    "add a route of IPv4, of the scope of the host",
    encoded((w) => encodeNewRoute(w, address("10.96.0.1"))),
    naive.message(24, 0x601, 0, rtmsg(2, 32, LOCAL_TABLE, OURS, 254, LOCAL), attribute(1, VIP), ...WHERE),
  ],
  [
    "add a route of IPv6, which has no scopes",
    encoded((w) => encodeNewRoute(w, address("fd00:96::1"))),
    naive.message(24, 0x601, 0, rtmsg(10, 128, LOCAL_TABLE, OURS, 0, LOCAL), attribute(1, VIP6), ...WHERE),
  ],
  [
    "delete a route, and none of another protocol, metric or device",
    encoded((w) => encodeDeleteRoute(w, address("fd00:96::1"))),
    naive.message(25, 1, 0, rtmsg(10, 128, LOCAL_TABLE, OURS, 0, LOCAL), attribute(1, VIP6), ...WHERE),
  ],
  [
    "list routes by table, protocol and type",
    encoded((w) => encodeGetRoutes(w, "IPv4")),
    naive.message(26, 0x301, 0, rtmsg(2, 0, LOCAL_TABLE, OURS, 0, LOCAL)),
  ],
])("the request to %s has the bytes that the kernel expects", (_, bytes, expected) => {
  expect(bytes).toEqual(expected);
});

const read = (header: naive.Bytes, ...attributes: naive.Bytes[]): Message => ({
  type: 24,
  flags: 2,
  sequence: 1,
  payload: new Uint8Array([...header, ...attributes.flat()]),
});
const OWN = rtmsg(2, 32, LOCAL_TABLE, OURS, 254, LOCAL);
const LO = attribute(4, u32(1));
const TABLE = attribute(15, u32(LOCAL_TABLE));

test.each<[string, Message, string | undefined]>([
  ["ours of IPv4", read(OWN, TABLE, attribute(1, VIP), ...WHERE), "10.96.0.1"],
  ["ours of IPv6", read(rtmsg(10, 128, 255, OURS, 0, LOCAL), TABLE, attribute(1, VIP6), LO), "fd00:96::1"],
  ["of the kernel", read(rtmsg(2, 32, 255, 2, 254, LOCAL), TABLE, attribute(1, VIP), LO), "other"],
  ["of another type", read(rtmsg(2, 32, 255, OURS, 254, 3), TABLE, attribute(1, VIP), LO), "other"],
  ["to a network", read(rtmsg(2, 24, 255, OURS, 254, LOCAL), TABLE, attribute(1, VIP), LO), "other"],
  ["in another table", read(OWN, attribute(15, u32(254)), attribute(1, VIP), LO), "other"],
  ["on another device", read(OWN, TABLE, attribute(1, VIP), attribute(4, u32(7))), "other"],
  ["of another family", read(rtmsg(128, 32, 255, OURS, 254, LOCAL), TABLE), "other"],
  ["without a destination", read(OWN, TABLE, LO), undefined],
  ["with a destination of another length", read(OWN, TABLE, attribute(1, VIP6), LO), undefined],
  ["that ends early", read(OWN.slice(0, 8)), undefined],
  ["with an attribute that ends early", read(OWN, attribute(1, VIP), [40, 0, 4, 0]), undefined],
  ["that is no route", { ...read(OWN, attribute(1, VIP), LO), type: 20 }, undefined],
])("a part of the dump %s is read as %s", (_, message, expected) => {
  expect(decodeRoute(message)).toBe(expected);
});
