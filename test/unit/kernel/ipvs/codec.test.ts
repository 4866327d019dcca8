import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeFamily,
  decodeReal,
  decodeServer,
  encodeGetFamily,
  encodeGetReals,
  encodeGetServer,
  encodeGetServers,
  encodeServerOperation,
} from "../../../../src/kernel/ipvs/codec.ts";
import { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import { addressFromBytes, familyOf, type IPAddress, parseAddress } from "../../../../src/model/address.ts";
import type { Protocol } from "../../../../src/model/cluster/service.ts";
import {
  type Forwarding,
  markedServer,
  parseVirtualServerKey,
  type RealServer,
  type Scheduler,
  type SchedulerFlag,
  type VirtualServer,
  virtualServer,
} from "../../../../src/model/kernel/ipvs.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { realServer } from "../../../support/objects/desired.ts";

const FAMILY = 31;

const ip = (text: string): IPAddress => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
};
const server = (
  protocol: Protocol,
  address: string,
  port: number,
  options: { scheduler?: string; flags?: SchedulerFlag[]; persistenceSeconds?: number } = {},
): VirtualServer =>
  virtualServer(protocol, ip(address), port, { ...options, scheduler: (options.scheduler ?? "rr") as Scheduler });

const encoded = (encode: (writer: AttributeWriter) => void): naive.Bytes => {
  const writer = new AttributeWriter(8);
  encode(writer);
  return [...writer.written()];
};
const message = (bytes: naive.Bytes) => ({ type: FAMILY, flags: 0, sequence: 1, payload: Uint8Array.from(bytes) });

const { attribute, nested, generic, u16, u32, be16, text } = naive;
const service4 = (protocol: number, address: string, port: number, ...options: naive.Bytes[]) =>
  nested(
    1,
    attribute(1, u16(2)),
    attribute(2, u16(protocol)),
    attribute(3, naive.ipv4(address)),
    attribute(4, be16(port)),
    ...options,
  );
const service6 = (protocol: number, address: string, port: number, ...options: naive.Bytes[]) =>
  nested(
    1,
    attribute(1, u16(10)),
    attribute(2, u16(protocol)),
    attribute(3, naive.ipv6(address)),
    attribute(4, be16(port)),
    ...options,
  );
const options = (scheduler: string, flags: number, timeout: number, netmask: naive.Bytes) => [
  attribute(6, text(scheduler)),
  attribute(7, u32(flags), u32(0xffffffff)),
  attribute(8, u32(timeout)),
  attribute(9, netmask),
];
const dest = (family: number, address: naive.Bytes, port: number, ...rest: naive.Bytes[]) =>
  nested(2, attribute(1, address), attribute(2, be16(port)), attribute(11, u16(family)), ...rest);
const destOptions = (forwarding: number, weight: number) => [
  attribute(3, u32(forwarding)),
  attribute(4, u32(weight)),
  attribute(5, u32(0)),
  attribute(6, u32(0)),
];
const ALL = u32(0xffffffff);

const web = server("TCP", "10.96.0.1", 443);
const dns = server("UDP", "fd00:96::a", 53, { scheduler: "mh", flags: ["mh-port"], persistenceSeconds: 10_800 });
const DNS_ADDRESS = "fd00:96:0:0:0:0:0:a";
const pod = realServer(ip("10.244.1.5"), 8443);
const pod6 = realServer(ip("fd00:244::5"), 5353, 0);

const marked4 = markedServer("IPv4", 7, "UDP", { scheduler: "sh" as Scheduler, flags: ["sh-fallback"] });
const marked6 = markedServer("IPv6", 0xfffffffe, "TCP", { scheduler: "rr" as Scheduler });
const byMark = (family: number, mark: number, ...rest: naive.Bytes[]) =>
  nested(1, attribute(1, u16(family)), attribute(5, u32(mark)), ...rest);

test.each<[string, naive.Bytes, naive.Bytes]>([
  [
    "add-virtual-server by firewall mark",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "add-virtual-server", server: marked4 })),
    generic(FAMILY, 1, 1, byMark(2, 7, ...options("sh", 0x8, 0, ALL))),
  ],
  [
    "update-virtual-server by firewall mark, IPv6",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "update-virtual-server", server: marked6 })),
    generic(FAMILY, 1, 2, byMark(10, 0xfffffffe, ...options("rr", 0, 0, u32(128)))),
  ],
  [
    "delete-real-server by firewall mark",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "delete-real-server", server: marked4, real: pod })),
    generic(FAMILY, 1, 7, byMark(2, 7), dest(2, naive.ipv4("10.244.1.5"), 8443)),
  ],
  [
    "get one server by firewall mark",
    encoded((w) => encodeGetServer(w, FAMILY, parseVirtualServerKey(marked6.key))),
    generic(FAMILY, 1, 4, byMark(10, 0xfffffffe)),
  ],
  [
    "add-virtual-server",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "add-virtual-server", server: web })),
    generic(FAMILY, 1, 1, service4(6, "10.96.0.1", 443, ...options("rr", 0, 0, ALL))),
  ],
  [
    "update-virtual-server",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "update-virtual-server", server: dns })),
    generic(FAMILY, 1, 2, service6(17, DNS_ADDRESS, 53, ...options("mh", 0x11, 10_800, u32(128)))),
  ],
  [
    "delete-virtual-server",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "delete-virtual-server", server: dns })),
    generic(FAMILY, 1, 3, service6(17, DNS_ADDRESS, 53)),
  ],
  [
    "add-real-server",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "add-real-server", server: web, real: pod })),
    generic(FAMILY, 1, 5, service4(6, "10.96.0.1", 443), dest(2, naive.ipv4("10.244.1.5"), 8443, ...destOptions(0, 1))),
  ],
  [
    "update-real-server",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "update-real-server", server: dns, real: pod6 })),
    generic(
      FAMILY,
      1,
      6,
      service6(17, DNS_ADDRESS, 53),
      dest(10, naive.ipv6("fd00:244:0:0:0:0:0:5"), 5353, ...destOptions(0, 0)),
    ),
  ],
  [
    "delete-real-server",
    encoded((w) => encodeServerOperation(w, FAMILY, { kind: "delete-real-server", server: web, real: pod })),
    generic(FAMILY, 1, 7, service4(6, "10.96.0.1", 443), dest(2, naive.ipv4("10.244.1.5"), 8443)),
  ],
  [
    "get one server",
    encoded((w) => encodeGetServer(w, FAMILY, web)),
    generic(FAMILY, 1, 4, service4(6, "10.96.0.1", 443)),
  ],
  ["get all servers", encoded((w) => encodeGetServers(w, FAMILY)), generic(FAMILY, 0x301, 4)],
  [
    "get real servers",
    encoded((w) => encodeGetReals(w, FAMILY, web)),
    generic(FAMILY, 0x301, 8, service4(6, "10.96.0.1", 443)),
  ],
  ["get family", encoded(encodeGetFamily), naive.message(16, 1, 0, [3, 2, 0, 0], attribute(2, text("IPVS")))],
])("%s has the bytes that the kernel expects", (_, bytes, expected) => {
  expect(bytes).toEqual(expected);
});

test.each<[SchedulerFlag, string, number]>([
  ["one-packet", "rr", 0x4],
  ["sh-fallback", "sh", 0x8],
  ["sh-port", "sh", 0x10],
  ["mh-fallback", "mh", 0x8],
  ["mh-port", "mh", 0x10],
  ["flag-1", "rr", 0x8],
  ["flag-2", "wlc", 0x10],
  ["flag-3", "mh", 0x20],
])("the flag %s of %s is bit %i, encoded and decoded", (flag, scheduler, bit) => {
  const virtual = server("TCP", "10.0.0.1", 80, { scheduler, flags: [flag] });
  const bytes = encoded((w) => encodeServerOperation(w, FAMILY, { kind: "add-virtual-server", server: virtual }));
  expect(bytes).toEqual(generic(FAMILY, 1, 1, service4(6, "10.0.0.1", 80, ...options(scheduler, bit, 0, ALL))));
  expect(decodeServer(message(bytes.slice(16)))).toEqual({ kind: "server", server: virtual });
});

const sixteen = (address: string) => [...naive.ipv4(address), ...new Array<number>(12).fill(0)];
const told = (...attributes: naive.Bytes[]) => message([1, 1, 0, 0, ...nested(1, ...attributes)]);
const named = [attribute(1, u16(2)), attribute(2, u16(6)), attribute(3, sixteen("10.0.0.1")), attribute(4, be16(80))];

test("a virtual server of the kernel is decoded: a union of 16 bytes, HASHED set, statistics and unknown attributes", () => {
  const decoded = decodeServer(
    told(
      ...named,
      attribute(6, text("wrr")),
      attribute(7, u32(0x2 | 0x1), ALL),
      attribute(8, u32(60)),
      attribute(9, [255, 255, 255, 0]),
      nested(10, attribute(1, u32(7))),
      attribute(99, u32(1)),
    ),
  );
  const expected = server("TCP", "10.0.0.1", 80, { scheduler: "wrr", persistenceSeconds: 60 });
  expect(decoded).toEqual({ kind: "server", server: { ...expected, persistencePrefix: 24 } });
});

test.each<[string, ReturnType<typeof message>, string]>([
  ["by firewall mark of family 7", told(attribute(1, u16(7)), attribute(5, u32(7))), "malformed"],
  ["by firewall mark 0, which is none", told(attribute(1, u16(2)), attribute(5, u32(0))), "unnamed"],
  ["of protocol ESP", told(named[0] ?? [], attribute(2, u16(50)), named[2] ?? [], named[3] ?? []), "unnamed"],
  ["without an address", told(named[0] ?? [], named[1] ?? [], named[3] ?? []), "malformed"],
  ["of family 7", told(attribute(1, u16(7)), ...named.slice(1)), "malformed"],
  ["with a port of one byte", told(...named.slice(0, 3), attribute(4, [1])), "malformed"],
  ["without attributes", message([1, 1, 0, 0]), "malformed"],
  ["without a header", message([]), "malformed"],
])("a virtual server %s is %s", (_, answer, kind) => {
  expect(decodeServer(answer)?.kind ?? "malformed").toBe(kind);
});

test.each<[string, naive.Bytes[], RealServer]>([
  [
    "of IPv4",
    [attribute(1, sixteen("10.244.0.9")), attribute(11, u16(2))],
    { ...realServer(ip("10.244.0.9"), 80, 3), forwarding: "direct" },
  ],
  [
    "from a kernel that omits the family",
    [attribute(1, sixteen("10.244.0.9"))],
    { ...realServer(ip("10.244.0.9"), 80, 3), forwarding: "direct" },
  ],
  [
    "from a kernel with statistics of 64 bits (4.1) and with tunnels that have type, port and flags (5.3)",
    [
      attribute(1, sixteen("10.244.0.9")),
      attribute(11, u16(2)),
      nested(12, attribute(1, [1, 0, 0, 0, 0, 0, 0, 0])),
      ...[attribute(13, [1]), attribute(14, be16(6080)), attribute(15, u16(1))],
    ],
    { ...realServer(ip("10.244.0.9"), 80, 3), forwarding: "direct" },
  ],
  [
    "of the other family, behind a tunnel",
    [attribute(1, naive.ipv6("fd00:0:0:0:0:0:0:1")), attribute(11, u16(10))],
    { ...realServer(ip("fd00::1"), 80, 3), forwarding: "direct" },
  ],
])("a real server %s is decoded with its connections", (_, address, real) => {
  // Forwarding has internal flags of the kernel above its three bits.
  const rest = [attribute(2, be16(80)), attribute(3, u32(0x103)), attribute(4, u32(3))];
  const counts = [attribute(7, u32(5)), attribute(8, u32(6)), attribute(9, u32(1))];
  const decoded = decodeReal(message([8, 1, 0, 0, ...nested(2, ...address, ...rest, ...counts)]), "IPv4");
  expect(decoded).toEqual({ real, active: 5, inactive: 6 });
});

test.each<[string, naive.Bytes]>([
  ["without an address", nested(2, attribute(2, be16(80)))],
  ["with a forwarding method of the future", nested(2, attribute(1, sixteen("10.0.0.1")), attribute(3, u32(5)))],
  ["with a weight of two bytes", nested(2, attribute(1, sixteen("10.0.0.1")), attribute(4, u16(1)))],
  ["that is none", []],
])("a real server %s cannot be decoded", (_, bytes) => {
  expect(decodeReal(message([8, 1, 0, 0, ...bytes]), "IPv4")).toBeUndefined();
});

test("the number of the generic netlink family is found among its other attributes", () => {
  const bytes = [1, 2, 0, 0, ...attribute(2, text("IPVS")), ...attribute(1, u16(33)), ...attribute(3, u32(1))];
  expect(decodeFamily(message(bytes))).toBe(33);
  expect(decodeFamily(message([1, 2, 0, 0]))).toBeUndefined();
});

const anyAddress = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(addressFromBytes)
  .filter((address) => !address.startsWith("::ffff:"));
const anyServer = fc
  .record({
    // The kernel does not keep the protocol of virtual servers by firewall mark.
    mark: fc.option(fc.integer({ min: 1, max: 0xffffffff }), { nil: 0 }),
    protocol: fc.constantFrom<Protocol>("TCP", "UDP", "SCTP"),
    address: anyAddress,
    port: fc.nat(65_535),
    chosen: fc.constantFrom<[string, SchedulerFlag[]]>(
      ["rr", ["one-packet", "flag-1", "flag-2", "flag-3"]],
      ["sh", ["one-packet", "sh-fallback", "sh-port", "flag-3"]],
      ["mh", ["one-packet", "mh-fallback", "mh-port", "flag-3"]],
    ),
    mask: fc.nat(15),
    persistenceSeconds: fc.nat(86_400),
    prefix: fc.nat(128),
  })
  .map(({ mark, protocol, address, port, chosen: [scheduler, flags], mask, persistenceSeconds, prefix }) => {
    const options = {
      scheduler: scheduler as Scheduler,
      flags: flags.filter((_, bit) => (mask & (1 << bit)) !== 0),
    };
    const made =
      mark === 0
        ? virtualServer(protocol, address, port, { ...options, persistenceSeconds })
        : markedServer(familyOf(address), mark, "TCP", options);
    return { ...made, persistencePrefix: address.includes(":") ? prefix : prefix % 33 };
  });

test("an encoded virtual server is decoded unchanged", () => {
  fc.assert(
    fc.property(anyServer, (virtual) => {
      const bytes = encoded((w) => encodeServerOperation(w, FAMILY, { kind: "add-virtual-server", server: virtual }));
      expect(decodeServer(message(bytes.slice(16)))).toEqual({ kind: "server", server: virtual });
    }),
  );
});

test("an encoded real server is decoded unchanged", () => {
  const forwardings: Forwarding[] = ["masquerade", "local", "tunnel", "direct", "bypass"];
  fc.assert(
    fc.property(
      anyServer,
      anyAddress,
      fc.nat(65_535),
      fc.integer({ min: -1, max: 2 ** 31 - 1 }),
      fc.constantFrom(...forwardings),
      (virtual, address, port, weight, forwarding) => {
        const real = { ...realServer(address, port, weight), forwarding };
        const bytes = encoded((w) =>
          encodeServerOperation(w, FAMILY, { kind: "add-real-server", server: virtual, real }),
        );
        const decoded = decodeReal(message(bytes.slice(16)), "IPv4");
        expect(decoded).toEqual({ real, active: 0, inactive: 0 });
      },
    ),
  );
});

test("random bytes in place of a message of IPVS never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(1, 2), (bytes, type) => {
      const wrapped = message([1, 1, 0, 0, ...nested(type, [...bytes])]);
      expect(["server", "unnamed", "malformed"]).toContain(decodeServer(wrapped)?.kind ?? "malformed");
      const real = decodeReal(wrapped, "IPv6");
      expect(real === undefined || Number.isInteger(real.active)).toBe(true);
      const number = decodeFamily(message([...bytes]));
      expect(number === undefined || number <= 0xffff).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
