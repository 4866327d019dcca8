import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodePart,
  decodeProtocol,
  decodeRefusedLine,
  encodeCreate,
  encodeDestroy,
  encodeEntries,
  encodeList,
  encodeListHeaders,
  encodeProtocol,
  encodeSwap,
} from "../../../../src/kernel/ipset/codec.ts";
import { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import { addressFromBytes, cidr, type IPAddress } from "../../../../src/model/address.ts";
import { PROTOCOLS } from "../../../../src/model/cluster/service.ts";
import {
  addressEntry,
  addressPortAddressEntry,
  addressPortEntry,
  addressPortNetworkEntry,
  ipset,
  markEntry,
  networkEntry,
  portEntry,
  type SetEntry,
} from "../../../../src/model/kernel/ipset.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

const { attribute, nested, text, be16, be32, u32 } = naive;
const ip = (address: string): IPAddress => address as IPAddress;
const NET = 0x4000;
const IPS = ipset("KUBE-IPVS-IPS", "IPv4");
const IPS6 = ipset("KUBE-IPVS-IPS", "IPv6");
const CLUSTER = ipset("KUBE-CLUSTER-IP", "IPv4");
const LOOP6 = ipset("KUBE-LOOP-BACK", "IPv6");
const PORTS = ipset("KUBE-NODE-PORT-UDP", "IPv4");
const CIDRS = ipset("KUBE-LOAD-BALANCER-SOURCE-CIDR", "IPv4");
const NETS = ipset("KUBE-SERVICE-CIDR", "IPv4");
const NETS6 = ipset("KUBE-SERVICE-CIDR", "IPv6");
const MARKS = ipset("KUBE-LOCAL-MARK", "IPv4");

const encoded = (encode: (writer: AttributeWriter) => void): naive.Bytes => {
  const writer = new AttributeWriter(8);
  encode(writer);
  return [...writer.written()];
};
/** A message of the subsystem: type 6 << 8 | command, then the nfgenmsg of family IPv4, then the protocol version. */
const message = (command: number, flags: number, protocol: number, ...attributes: naive.Bytes[]) =>
  naive.message(0x600 + command, flags | 1, 0, [2, 0, 0, 0], attribute(1, [protocol]), ...attributes);
const payload = (...attributes: naive.Bytes[]) => Uint8Array.from([2, 0, 0, 0, ...attributes.flat()]);

const size = { maxElements: 65_536, hashSize: 1024 };
const hashData = nested(7, attribute(18 | NET, be32(1024)), attribute(19 | NET, be32(65_536)));
const four = (type: number, address: string) => nested(type, attribute(1 | NET, naive.ipv4(address)));
const six = (type: number, address: string) => nested(type, attribute(2 | NET, naive.ipv6(address)));

describe("requests", () => {
  test.each<[string, (writer: AttributeWriter) => void, naive.Bytes]>([
    ["PROTOCOL", (writer) => encodeProtocol(writer), message(1, 0, 6)],
    [
      "CREATE of addresses",
      (writer) => encodeCreate(writer, 7, { name: IPS.name, set: IPS, size }),
      message(
        2,
        0x600,
        7,
        attribute(2, text("KUBE-IPVS-IPS")),
        attribute(3, text("hash:ip")),
        attribute(4, [0]),
        attribute(5, [2]),
        hashData,
      ),
    ],
    [
      "CREATE of IPv6 addresses, ports and addresses, under another name",
      (writer) => encodeCreate(writer, 6, { name: "other", set: LOOP6, size }),
      message(
        2,
        0x600,
        6,
        attribute(2, text("other")),
        attribute(3, text("hash:ip,port,ip")),
        attribute(4, [1]),
        attribute(5, [10]),
        hashData,
      ),
    ],
    [
      "CREATE of ports",
      (writer) => encodeCreate(writer, 7, { name: PORTS.name, set: PORTS, size }),
      message(
        2,
        0x600,
        7,
        attribute(2, text("KUBE-NODE-PORT-UDP")),
        attribute(3, text("bitmap:port")),
        attribute(4, [0]),
        attribute(5, [0]),
        nested(7, attribute(4 | NET, be16(0)), attribute(5 | NET, be16(65_535))),
      ),
    ],
    [
      "CREATE of frontends that give packets a mark",
      (writer) => encodeCreate(writer, 7, { name: MARKS.name, set: MARKS, size }),
      message(
        2,
        0x600,
        7,
        attribute(2, text("KUBE-LOCAL-MARK")),
        attribute(3, text("hash:ip,port")),
        attribute(4, [5]),
        attribute(5, [2]),
        nested(7, attribute(18 | NET, be32(1024)), attribute(19 | NET, be32(65_536)), attribute(8 | NET, be32(0x40))),
      ),
    ],
    ["DESTROY", (writer) => encodeDestroy(writer, 7, "a"), message(3, 0, 7, attribute(2, text("a")))],
    [
      "SWAP",
      (writer) => encodeSwap(writer, 7, ["a", "b"]),
      message(6, 0, 7, attribute(2, text("a")), attribute(3, text("b"))),
    ],
    ["LIST of headers", (writer) => encodeListHeaders(writer, 7), message(7, 0x300, 7, attribute(6 | NET, be32(4)))],
    ["LIST of one set", (writer) => encodeList(writer, 7, "a"), message(7, 0x300, 7, attribute(2, text("a")))],
  ])("%s", (_, encode, bytes) => {
    expect(encoded(encode)).toEqual(bytes);
  });
});

const MEMBERS: readonly [SetEntry, ...naive.Bytes[]][] = [
  [addressEntry(IPS, ip("10.96.0.1")), four(1, "10.96.0.1")],
  [addressEntry(IPS6, ip("fd00::1")), six(1, "fd00:0:0:0:0:0:0:1")],
  [portEntry(PORTS, 30_080), attribute(4 | NET, be16(30_080))],
  [
    addressPortEntry(CLUSTER, ip("10.96.0.1"), "TCP", 443),
    four(1, "10.96.0.1"),
    attribute(4 | NET, be16(443)),
    attribute(7, [6]),
  ],
  [
    addressPortEntry(CLUSTER, ip("10.96.0.1"), "SCTP", 1),
    four(1, "10.96.0.1"),
    attribute(4 | NET, be16(1)),
    attribute(7, [132]),
  ],
  [
    addressPortAddressEntry(LOOP6, ip("fd00::1"), "UDP", 53, ip("fd00::2")),
    six(1, "fd00:0:0:0:0:0:0:1"),
    attribute(4 | NET, be16(53)),
    attribute(7, [17]),
    six(20, "fd00:0:0:0:0:0:0:2"),
  ],
  [
    addressPortNetworkEntry(CIDRS, ip("10.0.0.1"), "TCP", 80, cidr(ip("192.168.0.0"), 16)),
    four(1, "10.0.0.1"),
    attribute(4 | NET, be16(80)),
    attribute(7, [6]),
    four(20, "192.168.0.0"),
    attribute(21, [16]),
  ],
  [
    addressPortNetworkEntry(CIDRS, ip("10.0.0.1"), "TCP", 80, cidr(ip("192.168.0.7"), 32)),
    four(1, "10.0.0.1"),
    attribute(4 | NET, be16(80)),
    attribute(7, [6]),
    four(20, "192.168.0.7"),
    attribute(21, [32]),
  ],
  [networkEntry(NETS, cidr(ip("10.96.0.0"), 12)), four(1, "10.96.0.0"), attribute(3, [12])],
  [networkEntry(NETS6, cidr(ip("fd00::"), 108)), six(1, "fd00:0:0:0:0:0:0:0"), attribute(3, [108])],
  [
    markEntry(MARKS, ip("192.0.2.1"), "UDP", 53, 0x1005, 0xfffe_1fff),
    four(1, "192.0.2.1"),
    attribute(4 | NET, be16(53)),
    attribute(7, [17]),
    attribute(27 | NET, be32(0x1005), be32(0xfffe_1fff)),
  ],
];

describe("members", () => {
  test.each(MEMBERS.map(([entry, ...bytes]) => [entry.text, entry, bytes] as const))("%s", (_, entry, bytes) => {
    const { set } = entry;
    const request = (command: number) =>
      message(
        command,
        0x600,
        7,
        attribute(2, text(set.name)),
        attribute(9, u32(0)),
        nested(8, nested(7, attribute(9, u32(1)), ...bytes), nested(7, attribute(9, u32(2)), ...bytes)),
      );
    const entries = [entry, entry];
    expect(encoded((writer) => encodeEntries(writer, 7, { kind: "add-entry", name: set.name, entries }))).toEqual(
      request(9),
    );
    expect(encoded((writer) => encodeEntries(writer, 7, { kind: "delete-entry", name: set.name, entries }))).toEqual(
      request(10),
    );
    const part = payload(attribute(2, text(set.name)), nested(8, nested(7, ...bytes)));
    expect(decodePart(part, new Map([[set.name, set]]))).toEqual({ header: undefined, entries: [entry] });
  });

  test.each([
    ["a whole address as a client", MEMBERS[7], "10.0.0.1,tcp:80,192.168.0.7"],
    ["a network", MEMBERS[8], "10.96.0.0/12"],
    ["an address as a network", [networkEntry(NETS6, cidr(ip("fd00::1"), 128))], "fd00::1"],
    ["a mark", MEMBERS[10], "192.0.2.1,udp:53 skbmark 0x1005/0xfffe1fff"],
  ])("the text of %s is what ipset prints", (_, member, expected) => {
    expect(member?.[0].text).toBe(expected);
  });

  test("any encoded entry is decoded unchanged", () => {
    const address = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(addressFromBytes);
    const entry = fc
      .record({ length: fc.constantFrom(4, 16), port: fc.nat(65_535), protocol: fc.constantFrom(...PROTOCOLS) })
      .chain(({ length, port, protocol }) =>
        fc.tuple(address(length), address(length)).map(([one, other]) => {
          const family = length === 4 ? "IPv4" : "IPv6";
          return [
            addressEntry(ipset("KUBE-IPVS-IPS", family), one),
            addressPortEntry(ipset("KUBE-CLUSTER-IP", family), one, protocol, port),
            addressPortAddressEntry(ipset("KUBE-LOOP-BACK", family), one, protocol, port, other),
            networkEntry(ipset("KUBE-SERVICE-CIDR", family), cidr(one, 1 + (port % (length * 8)))),
            markEntry(ipset("KUBE-LOCAL-MARK", family), one, protocol, port, port * 65_537, 0xffff_ffff),
            portEntry(ipset("KUBE-NODE-PORT-TCP", family), port),
          ];
        }),
      );
    fc.assert(
      fc.property(entry, (entries) => {
        for (const one of entries) {
          const { set } = one;
          const bytes = encoded((writer) =>
            encodeEntries(writer, 7, { kind: "add-entry", name: set.name, entries: [one] }),
          );
          const part = decodePart(Uint8Array.from(bytes.slice(16)), new Map([[set.name, set]]));
          // The third part of hash:ip,port,ip is always a whole address.
          expect(part?.entries).toEqual([one]);
        }
      }),
    );
  });
});

describe("answers", () => {
  test.each([
    ["what both speak", 7, 6, 7],
    ["the highest of ours", 9, 6, 7],
    ["an old kernel's only one", 6, 6, 6],
    ["nothing, the kernel is too old", 5, 5, undefined],
    ["nothing, the kernel is too new", 9, 8, undefined],
  ])("the protocol is %s", (_, highest, lowest, version) => {
    expect(decodeProtocol(payload(attribute(1, [highest]), attribute(10, [lowest])))).toBe(version);
  });

  test("a header has name, type, family and size", () => {
    const part = payload(
      attribute(1, [7]),
      attribute(2, text("any")),
      attribute(3, text("hash:ip")),
      attribute(5, [10]),
      hashData,
    );
    expect(decodePart(part, new Map())).toEqual({
      header: {
        name: "any",
        type: "hash:ip",
        family: 10,
        marks: false,
        members: 0,
        maxElements: 65_536,
        hashSize: 1024,
      },
      entries: [],
    });
  });

  test.each([
    ["with the extension skbinfo", 0x40, true],
    ["with counters and forceadd", 0x88, false],
  ])("a header %s says that members may have marks: %s", (_, flags, marks) => {
    const part = payload(attribute(2, text("any")), attribute(3, text("x")), nested(7, attribute(8, be32(flags))));
    expect(decodePart(part, new Map())?.header?.marks).toBe(marks);
  });

  test("a member without a mark in a set with marks is left out", () => {
    const member = [...four(1, "10.0.0.1"), ...attribute(4 | NET, be16(8)), ...attribute(7, [6])];
    const part = payload(attribute(2, text(MARKS.name)), nested(8, nested(7, member)));
    expect(decodePart(part, new Map([[MARKS.name, MARKS]]))?.entries).toEqual([
      markEntry(MARKS, ip("10.0.0.1"), "TCP", 8, 0, 0),
    ]);
  });

  test.each([
    ["of a set that was not asked for", "others", four(1, "10.0.0.1")],
    [
      "of a protocol that Kubernetes does not have",
      CLUSTER.name,
      [...four(1, "10.0.0.1"), ...attribute(4 | NET, be16(8)), ...attribute(7, [1])],
    ],
    ["without an address", CLUSTER.name, [...attribute(4 | NET, be16(8)), ...attribute(7, [6])]],
  ])("a member %s is no entry", (_, name, member) => {
    const part = payload(attribute(2, text(name)), nested(8, nested(7, member)));
    expect(decodePart(part, new Map([[CLUSTER.name, CLUSTER]]))).toEqual({ header: undefined, entries: [] });
  });

  test("the line of a failure is read from the message, even if the rest was truncated", () => {
    const whole = message(
      9,
      0x600,
      7,
      attribute(2, text("a")),
      attribute(9, u32(77)),
      nested(8, nested(7, attribute(9, u32(1)))),
    );
    expect(decodeRefusedLine(Uint8Array.from(whole))).toBe(77);
    expect(decodeRefusedLine(Uint8Array.from(whole).subarray(0, 48))).toBe(77);
    expect(decodeRefusedLine(Uint8Array.from(whole).subarray(0, 16))).toBe(0);
  });

  test("a truncated part is not read as a smaller one", () => {
    const part = payload(
      attribute(2, text(IPS.name)),
      nested(8, nested(7, four(1, "10.0.0.1")), nested(7, four(1, "10.0.0.2"))),
    );
    expect(decodePart(part.subarray(0, part.length - 8), new Map([[IPS.name, IPS]]))).toBeUndefined();
  });

  test("random bytes never throw", () => {
    const sets = new Map([[CLUSTER.name, CLUSTER]]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodePart(bytes, sets);
        decodeProtocol(bytes);
        decodeRefusedLine(bytes);
      }),
    );
  });
});
