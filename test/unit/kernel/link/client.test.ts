import { describe, expect, test } from "vitest";
import { LinkClient } from "../../../../src/kernel/link/client.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { addressBytes, cidr, type IPAddress, parseAddress } from "../../../../src/model/address.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../../support/netlink/netlink-peer.ts";

const { attribute, i32, nested, text, u16, u32 } = naive;
const INDEX = 7;

const ip = (value: string): IPAddress => {
  const address = parseAddress(value);
  if (address === undefined) throw new Error(value);
  return address;
};

/** A kernel with an interface of this kind, or none. */
const setUp = (kind: string | undefined) => {
  const peer = new NetlinkPeer((requests) =>
    requests.flatMap((it) => {
      if (it.type !== 18) return accepting([it]);
      if (kind === undefined) return [naive.acknowledgement(it, 19)];
      const header = [0, 0, ...u16(0), ...i32(INDEX), ...u32(0), ...u32(0)];
      const link = [...attribute(3, text("kube-ipvs0")), ...nested(18, attribute(1, text(kind)))];
      return [naive.message(16, 0, it.sequence, header, link), ...accepting([it])];
    }),
  );
  const counters = new NetlinkCounters();
  const socket = () => new NetlinkSocket({ protocol: 0, messageBytes: 4096, open: peer.open, counters });
  return { client: new LinkClient({ links: socket(), addresses: socket() }), peer };
};
/** Type and number of the messages of each datagram. */
const sends = (peer: NetlinkPeer) => peer.sent.map((requests) => [requests[0]?.type, requests.length]);

test("the interface is created only if it is missing", async () => {
  const without = setUp(undefined);
  expect(await without.client.ensure()).toBe(true);
  expect(sends(without.peer)).toEqual([
    [18, 1],
    [16, 1],
  ]);
  const present = setUp("dummy");
  expect(await present.client.ensure()).toBe(false);
  expect(sends(present.peer)).toEqual([[18, 1]]);
});

test("an address fails with the reason if the interface cannot be created, and with ENODEV if it is only missing", async () => {
  const { client, peer } = setUp(undefined);
  const bind = { kind: "bind-address", binding: "address", address: ip("10.0.0.1") } as const;
  expect(await client.apply([bind])).toMatchObject([{ errno: "ENODEV" }]);
  const absent = peer.peer;
  peer.peer = (requests, protocol) =>
    requests.flatMap((it) => (it.type === 16 ? [naive.acknowledgement(it, 95)] : absent([it], protocol)));
  await expect(client.ensure()).rejects.toThrow("modprobe dummy");
  expect(await client.apply([bind])).toMatchObject([
    { errno: "EOPNOTSUPP", text: expect.stringContaining("modprobe dummy") },
  ]);
  peer.peer = absent;
  await client.ensure();
  expect(await client.apply([bind])).toMatchObject([{ errno: "ENODEV" }]);
});

test("an interface of this name that is no dummy is not used", async () => {
  const { client, peer } = setUp("bridge");
  const expected =
    'Cannot use interface "kube-ipvs0": EEXIST (an interface of this name exists, but it is of kind "bridge", not "dummy": rename or remove it)';
  await expect(client.ensure()).rejects.toThrow(expected);
  expect(await client.remove()).toEqual({
    changed: [],
    warnings: ['Interface "kube-ipvs0" was not deleted: it is of kind "bridge", not "dummy"'],
  });
  expect(await client.apply([{ kind: "bind-address", binding: "address", address: ip("10.0.0.1") }])).toMatchObject([
    { errno: "EOPNOTSUPP", text: 'the interface "kube-ipvs0" is of kind "bridge", not "dummy"' },
  ]);
  expect(sends(peer).every(([type]) => type === 18)).toBe(true);
});

describe("IPv6 addresses that Linux may choose as source", () => {
  /** Interface, address and flags as in `ip addr`; 0x20 is deprecated. */
  const shown = [
    [INDEX, "fd00:96::1", 0x82],
    [INDEX, "fd00:96::2", 0xa2],
    [INDEX, "fd00:96::3", 0x82],
    [INDEX, "fd00:77::1", 0x82],
    [INDEX, "fe80::1", 0x80],
    [INDEX, "10.96.0.1", 0x80],
    [2, "2001:db8::1", 0x80],
  ] as const;
  const networks = [cidr(ip("fd00:77::"), 64)];

  const withAddresses = () => {
    const { client, peer } = setUp("dummy");
    const others = peer.peer;
    const replaced: naive.NaiveMessage[] = [];
    peer.peer = (requests, protocol) =>
      requests.flatMap((it) => {
        if (it.type === 20) replaced.push(it);
        if (it.type !== 22) return others([it], protocol);
        const parts = shown.map(([index, text, flags]) => {
          const bytes = [...addressBytes(ip(text))];
          const header = [bytes.length === 4 ? 2 : 10, 128, flags, 0, ...u32(index)];
          return naive.message(20, 2, it.sequence, header, attribute(1, bytes));
        });
        return [...parts, naive.done(it)];
      });
    return { client, replaced };
  };

  test("are deprecated in place, except link-local ones and those of networks to keep", async () => {
    const { client, replaced } = withAddresses();
    expect(await client.deprecate(networks)).toEqual({
      changed: ['deprecated 2 IPv6 addresses of "kube-ipvs0"'],
      warnings: [],
    });
    // NLM_F_REPLACE: the address is neither created nor deleted.
    expect(replaced.map(({ flags }) => flags & 0x700)).toEqual([0x100, 0x100]);
    expect(replaced.map(({ body }) => body.slice(12, 28))).toEqual(
      ["fd00:96::1", "fd00:96::3"].map((text) => [...addressBytes(ip(text))]),
    );
  });

  test("are a difference if they are not deprecated", async () => {
    const { client, replaced } = withAddresses();
    expect(await client.differences(networks)).toEqual([
      'address "fd00:96::1" of "kube-ipvs0" is not deprecated',
      'address "fd00:96::3" of "kube-ipvs0" is not deprecated',
    ]);
    expect(replaced).toEqual([]);
  });
});

test("without the module dummy the error names the remedy", async () => {
  const { client, peer } = setUp(undefined);
  peer.peer = (requests) => requests.map((it) => naive.acknowledgement(it, it.type === 18 ? 19 : 95));
  await expect(client.ensure()).rejects.toThrow(/modprobe dummy/);
});

test("without the interface every address fails with ENODEV", async () => {
  const { client } = setUp(undefined);
  const answers = await client.apply([
    { kind: "bind-address", binding: "address", address: ip("10.0.0.1") },
    { kind: "unbind-address", binding: "address", address: ip("fd00::1") },
  ]);
  expect(answers.map((answer) => (answer.ok ? "ok" : answer.errno))).toEqual(["ENODEV", "ENODEV"]);
});

test("IPv6 addresses are unbound a few at a time, all others in one send", async () => {
  const { client, peer } = setUp("dummy");
  const v4 = Array.from({ length: 20 }, (_, index) => ip(`10.0.0.${index}`));
  const v6 = Array.from({ length: 20 }, (_, index) => ip(`fd00::${index + 1}`));
  await client.apply([
    ...[...v4, ...v6].map((address) => ({ kind: "bind-address" as const, binding: "address" as const, address })),
    ...v6.map((address) => ({ kind: "unbind-address" as const, binding: "address" as const, address })),
    ...v4.map((address) => ({ kind: "unbind-address" as const, binding: "address" as const, address })),
  ]);
  expect(sends(peer)).toEqual([
    [18, 1],
    [20, 40],
    [21, 8],
    [21, 8],
    [21, 4],
    [21, 20],
  ]);
});
