import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeAddress,
  decodeLink,
  encodeDeleteAddress,
  encodeDeleteLink,
  encodeDeprecateAddress,
  encodeGetAddresses,
  encodeGetLink,
  encodeNewAddress,
  encodeNewDummy,
} from "../../../../src/kernel/link/codec.ts";
import { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import { addressFromBytes, type IPAddress, parseAddress } from "../../../../src/model/address.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

const { attribute, i32, nested, text, u16, u32 } = naive;

const ip = (value: string): IPAddress => {
  const address = parseAddress(value);
  if (address === undefined) throw new Error(value);
  return address;
};
const encoded = (encode: (writer: AttributeWriter) => void): naive.Bytes => {
  const writer = new AttributeWriter(8);
  encode(writer);
  return [...writer.written()];
};
const ifinfo = (index: number) => [0, 0, ...u16(0), ...i32(index), ...u32(0), ...u32(0)];
const ifaddr = (family: number, prefix: number, flags: number, index: number) => [
  family,
  prefix,
  flags,
  0,
  ...u32(index),
];
const VIP = naive.ipv4("10.96.0.1");
const VIP6 = naive.ipv6("fd00:96:0:0:0:0:0:1");
/** Seconds for which it is preferred and valid, then two times that the kernel writes. */
const NEVER_PREFERRED = attribute(6, u32(0), u32(0xffffffff), u32(0), u32(0));

test.each<[string, naive.Bytes, naive.Bytes]>([
  [
    "find an interface",
    encoded((w) => encodeGetLink(w, "kube-ipvs0")),
    naive.message(18, 1, 0, ifinfo(0), attribute(3, text("kube-ipvs0"))),
  ],
  [
    "make a dummy",
    encoded((w) => encodeNewDummy(w, "kube-ipvs0")),
    naive.message(16, 0x601, 0, ifinfo(0), attribute(3, text("kube-ipvs0")), nested(18, attribute(1, text("dummy")))),
  ],
  ["delete an interface", encoded((w) => encodeDeleteLink(w, 300)), naive.message(17, 1, 0, ifinfo(300))],
  [
    "bind IPv4",
    encoded((w) => encodeNewAddress(w, 7, ip("10.96.0.1"))),
    naive.message(20, 0x601, 0, ifaddr(2, 32, 0, 7), attribute(2, VIP), attribute(1, VIP)),
  ],
  [
    "bind IPv6, without duplicate address detection and deprecated",
    encoded((w) => encodeNewAddress(w, 7, ip("fd00:96::1"))),
    naive.message(20, 0x601, 0, ifaddr(10, 128, 2, 7), attribute(2, VIP6), attribute(1, VIP6), NEVER_PREFERRED),
  ],
  [
    "deprecate IPv6 in place",
    encoded((w) => encodeDeprecateAddress(w, 7, ip("fd00:96::1"))),
    naive.message(20, 0x101, 0, ifaddr(10, 128, 2, 7), attribute(2, VIP6), attribute(1, VIP6), NEVER_PREFERRED),
  ],
  [
    "unbind IPv4",
    encoded((w) => encodeDeleteAddress(w, 7, ip("10.96.0.1"))),
    naive.message(21, 1, 0, ifaddr(2, 32, 0, 7), attribute(2, VIP), attribute(1, VIP)),
  ],
  ["list addresses", encoded((w) => encodeGetAddresses(w)), naive.message(22, 0x301, 0, ifaddr(0, 0, 0, 0))],
  ["list IPv6", encoded((w) => encodeGetAddresses(w, "IPv6")), naive.message(22, 0x301, 0, ifaddr(10, 0, 0, 0))],
])("the request to %s has the bytes that the kernel expects", (_, bytes, expected) => {
  expect(bytes).toEqual(expected);
});

const told = (type: number, ...payload: naive.Bytes[]) => ({
  type,
  flags: 2,
  sequence: 1,
  payload: Uint8Array.from(payload.flat()),
});

test.each<[string, naive.Bytes, { name: string; kind: string }]>([
  [
    "a dummy",
    [...attribute(3, text("kube-ipvs0")), ...nested(18, attribute(1, text("dummy")))],
    { name: "kube-ipvs0", kind: "dummy" },
  ],
  [
    "a kind without its zero",
    [...attribute(3, text("a")), ...nested(18, attribute(1, [118, 101]))],
    { name: "a", kind: "ve" },
  ],
  ["hardware", [...attribute(13, u32(1000)), ...attribute(3, text("eth0"))], { name: "eth0", kind: "" }],
])("an answer is read: %s", (_, attributes, expected) => {
  expect(decodeLink(told(16, ifinfo(70_000), attributes))).toEqual({ index: 70_000, ...expected });
});

test.each<[string, naive.Bytes, unknown]>([
  [
    "IPv4 on an interface",
    [...ifaddr(2, 24, 0, 3), ...attribute(1, VIP), ...attribute(2, VIP), ...attribute(3, text("eth0"))],
    "10.96.0.1",
  ],
  [
    "our end of a link",
    [...ifaddr(2, 32, 0, 3), ...attribute(1, naive.ipv4("10.9.9.9")), ...attribute(2, VIP)],
    "10.96.0.1",
  ],
  [
    "IPv6, which has no LOCAL",
    [...ifaddr(10, 64, 0, 3), ...attribute(1, VIP6), ...attribute(8, u32(0x82))],
    "fd00:96::1",
  ],
])("an answer is read: %s", (_, payload, address) => {
  expect(decodeAddress(told(20, payload))).toEqual({ index: 3, address, isDeprecated: false, isTentative: false });
});

test("a deprecated address is recognised by its flag", () => {
  const payload = [...ifaddr(10, 128, 0xa2, 3), ...attribute(1, VIP6)];
  expect(decodeAddress(told(20, payload))).toMatchObject({ address: "fd00:96::1", isDeprecated: true });
});

test.each([
  ["checked for duplicates", 0x40, true],
  ["used though it is checked", 0x44, false],
  ["a duplicate", 0xc8, true],
])("whether an address counts as tentative if it is %s", (_, flags, isTentative) => {
  const payload = [...ifaddr(10, 128, flags, 3), ...attribute(1, VIP6)];
  expect(decodeAddress(told(20, payload))).toMatchObject({ isTentative });
});

test("an answer that is no IP address is distinguished from an unreadable one", () => {
  expect(decodeAddress(told(20, ifaddr(45, 8, 0, 3), attribute(2, [1])))).toBe("other");
  expect(decodeAddress(told(20, ifaddr(2, 8, 0, 3), attribute(2, [1])))).toBeUndefined();
  expect(decodeAddress(told(20, ifaddr(10, 8, 0, 3), attribute(1, VIP)))).toBeUndefined();
  expect(decodeAddress(told(20, ifaddr(2, 8, 0, 3)))).toBeUndefined();
  expect(decodeAddress(told(21, ifaddr(2, 8, 0, 3), attribute(2, VIP)))).toBeUndefined();
  expect(decodeLink(told(16, [1, 2, 3]))).toBeUndefined();
  expect(decodeLink(told(16, ifinfo(1), [9, 0, 3, 0, 1, 2, 3, 4]))).toBeUndefined();
});

test("an encoded address is decoded unchanged", () => {
  const anyAddress = fc
    .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map(addressFromBytes);
  fc.assert(
    fc.property(anyAddress, fc.nat(0x7fffffff), (address, index) => {
      const payload = encoded((w) => encodeNewAddress(w, index, address)).slice(16);
      expect(decodeAddress(told(20, payload))).toMatchObject({ index, address });
    }),
  );
});

test("random bytes in place of an address never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (payload) => {
      const link = decodeLink({ type: 16, flags: 0, sequence: 1, payload });
      expect(link === undefined || Number.isInteger(link.index)).toBe(true);
      const address = decodeAddress({ type: 20, flags: 0, sequence: 1, payload });
      expect(address === undefined || address === "other" || Number.isInteger(address.index)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
