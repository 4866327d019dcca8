import { expect, test } from "vitest";
import { LinkClient } from "../../../../src/kernel/link/client.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { type IPAddress, parseAddress } from "../../../../src/model/address.ts";
import * as naive from "../../../support/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../../support/netlink-peer.ts";

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
      if (kind === undefined) return [naive.verdict(it, 19)];
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

test("the interface is made if there is none, and only then", async () => {
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

test("an address is refused with the reason where the interface cannot be created, and ENODEV where it is only gone", async () => {
  const { client, peer } = setUp(undefined);
  const bind = { kind: "bind-address", address: ip("10.0.0.1") } as const;
  expect(await client.apply([bind])).toMatchObject([{ errno: "ENODEV" }]);
  const absent = peer.peer;
  peer.peer = (requests, protocol) =>
    requests.flatMap((it) => (it.type === 16 ? [naive.verdict(it, 95)] : absent([it], protocol)));
  await expect(client.ensure()).rejects.toThrow("modprobe dummy");
  expect(await client.apply([bind])).toMatchObject([
    { errno: "EOPNOTSUPP", text: expect.stringContaining("modprobe dummy") },
  ]);
  peer.peer = absent;
  await client.ensure();
  expect(await client.apply([bind])).toMatchObject([{ errno: "ENODEV" }]);
});

test("an interface of the name that is no dummy is not taken", async () => {
  const { client, peer } = setUp("bridge");
  const expected =
    'Cannot use interface "kube-ipvs0": EEXIST (there is one, but it is of kind "bridge", not "dummy"; rename or remove it)';
  await expect(client.ensure()).rejects.toThrow(expected);
  expect(await client.remove()).toEqual({
    changed: [],
    warnings: ['Left interface "kube-ipvs0" alone: it is of kind "bridge", not "dummy"'],
  });
  expect(await client.apply([{ kind: "bind-address", address: ip("10.0.0.1") }])).toMatchObject([
    { errno: "EOPNOTSUPP", text: 'the interface "kube-ipvs0" is of kind "bridge", not "dummy"' },
  ]);
  expect(sends(peer).every(([type]) => type === 18)).toBe(true);
});

test("without the module dummy the error says what to do", async () => {
  const { client, peer } = setUp(undefined);
  peer.peer = (requests) => requests.map((it) => naive.verdict(it, it.type === 18 ? 19 : 95));
  await expect(client.ensure()).rejects.toThrow(/modprobe dummy/);
});

test("without the interface every address is refused with ENODEV", async () => {
  const { client } = setUp(undefined);
  const answers = await client.apply([
    { kind: "bind-address", address: ip("10.0.0.1") },
    { kind: "unbind-address", address: ip("fd00::1") },
  ]);
  expect(answers.map((answer) => (answer.ok ? "ok" : answer.errno))).toEqual(["ENODEV", "ENODEV"]);
});

test("IPv6 addresses are unbound a few at a time, all else in one send", async () => {
  const { client, peer } = setUp("dummy");
  const v4 = Array.from({ length: 20 }, (_, index) => ip(`10.0.0.${index}`));
  const v6 = Array.from({ length: 20 }, (_, index) => ip(`fd00::${index + 1}`));
  await client.apply([
    ...[...v4, ...v6].map((address) => ({ kind: "bind-address" as const, address })),
    ...v6.map((address) => ({ kind: "unbind-address" as const, address })),
    ...v4.map((address) => ({ kind: "unbind-address" as const, address })),
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
