import { expect, test } from "vitest";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { RouteClient } from "../../../../src/kernel/route/client.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../../support/netlink/netlink-peer.ts";
import { address } from "../../../support/objects/desired.ts";

const { attribute, u32 } = naive;
const [NEW, DELETE, GET] = [24, 25, 26];

/** A route as the kernel dumps it. */
function route(it: naive.NaiveMessage, ip: naive.Bytes, protocol = 173): naive.Bytes {
  const header = [ip.length === 4 ? 2 : 10, ip.length * 8, 0, 0, 255, protocol, 254, 2, ...u32(0)];
  return naive.message(NEW, 2, it.sequence, header, attribute(15, u32(255)), attribute(1, ip), attribute(4, u32(1)));
}

const FOUR = naive.ipv4("10.96.0.1");
const SIX = naive.ipv6("fd00:96:0:0:0:0:0:1");

/** A kernel with a route of ours in each family, and one of the kernel; `errnos` by the last byte of a deleted address. */
function setUp(options: { readonly errnoOfIPv6?: number; readonly errnos?: Readonly<Record<number, number>> } = {}) {
  const peer = new NetlinkPeer((requests) =>
    requests.flatMap((it) => {
      if (it.type === DELETE) {
        const errno = options.errnos?.[it.body[12 + 4 + 3] ?? 0];
        return errno === undefined ? accepting([it]) : [naive.acknowledgement(it, errno)];
      }
      if (it.type !== GET) return accepting([it]);
      if (it.body[0] === 2) return [route(it, FOUR), route(it, naive.ipv4("192.0.2.1"), 2), naive.done(it)];
      if (options.errnoOfIPv6 !== undefined) return [naive.acknowledgement(it, options.errnoOfIPv6)];
      return [route(it, SIX), naive.done(it)];
    }),
  );
  const socket = new NetlinkSocket({
    protocol: 0,
    messageBytes: 4096,
    open: peer.open,
    counters: new NetlinkCounters(),
  });
  return { client: new RouteClient(socket), peer };
}

test("the VIPs of both families are those with a route of the agent", async () => {
  expect(await setUp().client.bound()).toEqual(new Set([address("10.96.0.1"), address("fd00:96::1")]));
});

test("a kernel without IPv6 has no routes of it, and any other failure is not taken for an empty list", async () => {
  expect(await setUp({ errnoOfIPv6: 95 }).client.bound()).toEqual(new Set([address("10.96.0.1")]));
  await expect(setUp({ errnoOfIPv6: 12 }).client.bound()).rejects.toThrow("Cannot list routes: ENOMEM");
});

test("routes are added and deleted many in one send", async () => {
  const { client, peer } = setUp();
  const vips = Array.from({ length: 200 }, (_, index) => address(`fd00:96::${(index + 1).toString(16)}`));
  const answers = await client.apply([
    ...vips.map((address) => ({ kind: "bind-address" as const, binding: "route" as const, address })),
    ...vips.map((address) => ({ kind: "unbind-address" as const, binding: "route" as const, address })),
  ]);
  expect(answers.every(({ ok }) => ok)).toBe(true);
  expect(peer.sent.map((requests) => requests.length)).toEqual([256, 144]);
});

test("cleanup deletes the routes of the agent alone, and tells of those that stay", async () => {
  const { client, peer } = setUp();
  expect(await client.remove()).toEqual({ changed: ["deleted 2 routes of VIPs"], warnings: [] });
  const deleted = peer.sent.flat().filter(({ type }) => type === DELETE);
  expect(deleted.map(({ body }) => body[5])).toEqual([173, 173]);
  const refusing = setUp({ errnoOfIPv6: 95, errnos: { 1: 1 } });
  expect(await refusing.client.remove()).toEqual({
    changed: [],
    warnings: ["Cannot delete 1 routes of VIPs, for example 10.96.0.1: EPERM"],
  });
  // ESRCH: it has been deleted meanwhile.
  expect((await setUp({ errnoOfIPv6: 95, errnos: { 1: 3 } }).client.remove()).warnings).toEqual([]);
});
