import fc from "fast-check";
import { expect, test } from "vitest";
import { AttributeReader, AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import { parseAddress } from "../../../../src/model/address.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

const ip = (text: string) => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
};

test.each<[string, (writer: AttributeWriter) => void, naive.Bytes]>([
  ["u8", (w) => w.u8(1, 0xfe), naive.attribute(1, naive.u8(0xfe))],
  ["u16", (w) => w.u16(2, 0xbeef), naive.attribute(2, naive.u16(0xbeef))],
  ["u32", (w) => w.u32(3, 0xdeadbeef), naive.attribute(3, naive.u32(0xdeadbeef))],
  ["u32Pair", (w) => w.u32Pair(3, 0x11, 0xffffffff), naive.attribute(3, naive.u32(0x11), naive.u32(0xffffffff))],
  ["be16", (w) => w.be16(4, 443), naive.attribute(4, naive.be16(443))],
  ["be32", (w) => w.be32(5, 0xfffffe00), naive.attribute(5, naive.be32(0xfffffe00))],
  ["bytes", (w) => w.bytes(6, Uint8Array.of(1, 2, 3, 4, 5)), naive.attribute(6, [1, 2, 3, 4, 5])],
  ["string", (w) => w.string(7, "KUBE-IPVS"), naive.attribute(7, naive.text("KUBE-IPVS"))],
  ["IPv4 address", (w) => w.address(8, ip("10.200.0.255")), naive.attribute(8, naive.ipv4("10.200.0.255"))],
  ["shortest IPv4", (w) => w.address(8, ip("1.2.3.4")), naive.attribute(8, naive.ipv4("1.2.3.4"))],
  ["IPv6 address", (w) => w.address(8, ip("fd00:96::a")), naive.attribute(8, naive.ipv6("fd00:96:0:0:0:0:0:a"))],
  ["shortest IPv6", (w) => w.address(8, ip("::1")), naive.attribute(8, naive.ipv6("0:0:0:0:0:0:0:1"))],
  ["empty nest", (w) => w.end(w.begin(9)), naive.nested(9)],
])("an attribute, %s, has the bytes that the kernel expects", (_, write, expected) => {
  const writer = new AttributeWriter(8);
  write(writer);
  expect([...writer.written()]).toEqual(expected);
});

test("the length of an attribute includes its nested attributes", () => {
  const writer = new AttributeWriter(8);
  const outer = writer.begin(1);
  const inner = writer.begin(2);
  writer.u8(3, 7);
  writer.end(inner);
  writer.u16(4, 9);
  writer.end(outer);
  const expected = naive.nested(1, naive.nested(2, naive.attribute(3, [7])), naive.attribute(4, naive.u16(9)));
  expect([...writer.written()]).toEqual(expected);
});

test("a nest above 255 bytes has a length of two bytes", () => {
  const writer = new AttributeWriter(8);
  const outer = writer.begin(1);
  writer.bytes(2, new Uint8Array(1000).fill(5));
  writer.end(outer);
  expect([...writer.written()]).toEqual(naive.nested(1, naive.attribute(2, new Array(1000).fill(5))));
});

test("padding of an attribute is zero in a reused buffer", () => {
  const writer = new AttributeWriter(8);
  writer.bytes(1, new Uint8Array(40).fill(0xff));
  writer.truncate(0);
  writer.u8(2, 1);
  writer.reserve(8);
  expect([...writer.written()]).toEqual([...naive.attribute(2, [1]), 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("written attributes are read back", () => {
  const value = fc.oneof(
    fc.record({ kind: fc.constant("u8" as const), value: fc.nat(0xff) }),
    fc.record({ kind: fc.constant("u16" as const), value: fc.nat(0xffff) }),
    fc.record({ kind: fc.constant("u32" as const), value: fc.nat(0xffffffff) }),
    fc.record({ kind: fc.constant("be16" as const), value: fc.nat(0xffff) }),
    fc.record({ kind: fc.constant("be32" as const), value: fc.nat(0xffffffff) }),
  );
  fc.assert(
    fc.property(fc.array(value), fc.array(fc.string({ unit: "binary-ascii" })), (numbers, strings) => {
      const writer = new AttributeWriter(16);
      const outer = writer.begin(77);
      for (const [index, { kind, value }] of numbers.entries()) writer[kind](index, value);
      writer.end(outer);
      const clean = strings.map((text) => text.replaceAll("\0", ""));
      for (const text of clean) writer.string(5, text);

      const reader = new AttributeReader(writer.written());
      expect(reader.next()).toBe(true);
      expect(reader.type).toBe(77);
      const inner = reader.nested();
      for (const [index, { kind, value }] of numbers.entries()) {
        expect([inner.next(), inner.type, inner[kind]()]).toEqual([true, index, value]);
      }
      expect(inner.next()).toBe(false);
      for (const text of clean) expect([reader.next(), reader.string()]).toEqual([true, text]);
      expect([reader.next(), reader.failed]).toEqual([false, false]);
    }),
  );
});

test.each<[string, naive.Bytes, boolean]>([
  ["nothing", [], false],
  ["three bytes of padding", [...naive.attribute(1, [1]), 0, 0, 0], false],
  ["a last attribute without its padding", naive.attribute(1, [1]).slice(0, 5), false],
  ["a length below the header", [3, 0, 1, 0], true],
  ["a length of zero", [0, 0, 0, 0, 0, 0, 0, 0], true],
  ["a length beyond the end", [9, 0, 1, 0, 1, 2, 3, 4], true],
])("the reader of attributes finds the end of %s", (_, bytes, failed) => {
  const reader = new AttributeReader(Uint8Array.from(bytes));
  while (reader.next());
  expect(reader.failed).toBe(failed);
});

test("a value too short for its type fails the reader and its outer readers permanently", () => {
  const bytes = [...naive.nested(1, naive.attribute(2, [1])), ...naive.attribute(3, naive.u32(9))];
  const reader = new AttributeReader(Uint8Array.from(bytes));
  reader.next();
  const inner = reader.nested();
  inner.next();
  expect(inner.u32()).toBe(0);
  expect([inner.failed, reader.failed]).toEqual([true, true]);
  expect([inner.next(), reader.next(), reader.u32(), reader.string(), reader.bytes().length]).toEqual([
    false,
    false,
    0,
    "",
    0,
  ]);
});

test("flags in the type of an attribute are not part of the type", () => {
  const reader = new AttributeReader(Uint8Array.from(naive.attribute(0xc000 + 5, [])));
  reader.next();
  expect(reader.type).toBe(5);
});

test("random bytes in place of attributes never throw and always end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const reader = new AttributeReader(bytes);
      let steps = 0;
      while (reader.next()) {
        steps += 1;
        const inner = reader.nested();
        while (inner.next()) inner.string();
        void [reader.u8(), reader.u16(), reader.u32(), reader.be16(), reader.be32(), reader.bytes()];
      }
      expect(steps).toBeLessThanOrEqual(bytes.length / 4);
    }),
    { numRuns: 2000 },
  );
});
