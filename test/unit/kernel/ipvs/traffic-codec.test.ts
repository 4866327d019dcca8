import { expect, test } from "vitest";
import { decodeServerTraffic, decodeTraffic } from "../../../../src/kernel/ipvs/traffic-codec.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

const { attribute, nested, u32, be16 } = naive;
const u64 = (value: bigint) => [...u32(Number(value & 0xffffffffn)), ...u32(Number(value >> 32n))];

const dest = (...more: naive.Bytes[]) =>
  nested(
    2,
    attribute(1, naive.ipv4("10.244.1.5")),
    attribute(2, be16(8080)),
    attribute(3, u32(0)),
    attribute(4, u32(1)),
    attribute(7, u32(3)),
    attribute(8, u32(9)),
    ...more,
  );
const old = nested(
  10,
  attribute(1, u32(5)),
  attribute(2, u32(6)),
  attribute(3, u32(7)),
  attribute(4, u64(8n)),
  attribute(5, u64(9n)),
);
const long = nested(
  12,
  attribute(1, u64(5n)),
  attribute(2, u64((1n << 40n) + 6n)),
  attribute(3, u64(7n)),
  attribute(4, u64(8n)),
  attribute(5, u64(9n)),
);
const decoded = (...more: naive.Bytes[]) =>
  decodeTraffic({ type: 31, flags: 0, sequence: 1, payload: Uint8Array.from([8, 1, 0, 0, ...dest(...more)]) }, "IPv4");

test("counters of 32 bits, of kernels before 4.1, are read", () => {
  expect(decoded(old)).toMatchObject({
    real: { key: "10.244.1.5:8080" },
    ...{ active: 3, inactive: 9, connections: 5, packetsIn: 6, packetsOut: 7, bytesIn: 8, bytesOut: 9 },
  });
});

test("counters of 64 bits replace those of 32 bits, and are exact above 2^32", () => {
  expect(decoded(old, long)).toMatchObject({ connections: 5, packetsIn: 2 ** 40 + 6, bytesOut: 9 });
});

test("a real server without counters has none", () => {
  expect(decoded()).toMatchObject({ active: 3, packetsIn: 0 });
});

const virtual = (protocol: number, ...more: naive.Bytes[]) =>
  decodeServerTraffic({
    type: 31,
    flags: 0,
    sequence: 1,
    payload: Uint8Array.from([
      ...[1, 1, 0, 0],
      ...nested(
        1,
        attribute(1, naive.u16(2)),
        attribute(2, naive.u16(protocol)),
        attribute(3, naive.ipv4("10.96.0.1")),
        attribute(4, be16(80)),
        attribute(6, naive.text("rr")),
        attribute(7, u32(2), u32(0xffffffff)),
        attribute(8, u32(0)),
        attribute(9, u32(0xffffffff)),
        ...more,
      ),
    ]),
  });

test("the counters of a virtual server are read, those of 64 bits before those of 32 bits", () => {
  const counts = { connections: 5, packetsIn: 6, packetsOut: 7, bytesIn: 8, bytesOut: 9 };
  expect(virtual(6, old)).toEqual({ key: "TCP/10.96.0.1:80", counts });
  expect(virtual(6, old, long)).toEqual({ key: "TCP/10.96.0.1:80", counts: { ...counts, packetsIn: 2 ** 40 + 6 } });
});

test("a virtual server of a protocol that Kubernetes does not have has no key", () => {
  expect(virtual(50, long)).toBeUndefined();
});
