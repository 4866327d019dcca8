import { expect, test } from "vitest";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import type { BaseChain } from "../../../../src/kernel/nftables/base-chain-codec.ts";
import { baseChains, foreignTables } from "../../../../src/kernel/nftables/foreign-tables.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { NetlinkPeer, type Peer } from "../../../support/netlink/netlink-peer.ts";

const NEW_CHAIN = (10 << 8) | 3;

function read(peer: Peer) {
  const kernel = new NetlinkPeer(peer);
  const counters = new NetlinkCounters();
  const socket = new NetlinkSocket({ protocol: 12, messageBytes: 8192, open: kernel.open, counters });
  return { kernel, chains: baseChains(socket) };
}

function chain(family: number, table: string, name: string, hook?: number, policy?: number): naive.Bytes[] {
  return [
    [family, 0, 0, 0],
    naive.attribute(1, naive.text(table)),
    naive.attribute(3, naive.text(name)),
    ...(hook === undefined
      ? []
      : [naive.nested(4, naive.attribute(1, naive.be32(hook)), naive.attribute(2, naive.be32(0)))]),
    ...(policy === undefined ? [] : [naive.attribute(5, naive.be32(policy))]),
    naive.attribute(7, naive.text("filter")),
  ];
}

test("the chains with a hook are read, of all families at once", async () => {
  const { kernel, chains } = read(([request]) =>
    request === undefined
      ? []
      : [
          naive.message(NEW_CHAIN, 2, request.sequence, ...chain(1, "firewalld", "filter_INPUT", 1, 1)),
          naive.message(NEW_CHAIN, 2, request.sequence, ...chain(1, "firewalld", "helper")),
          naive.message(NEW_CHAIN, 2, request.sequence, ...chain(10, "filter", "FORWARD", 2, 0)),
          naive.done(request),
        ],
  );
  expect(await chains).toEqual([
    { family: "inet", table: "firewalld", name: "filter_INPUT", hook: "input", drops: false },
    { family: "ip6", table: "filter", name: "FORWARD", hook: "forward", drops: true },
  ]);
  const [[request] = []] = kernel.sent;
  expect([request?.type, request?.body]).toEqual([(10 << 8) | 4, [0, 0, 0, 0]]);
});

test.each([95, 22, 1])("a kernel that answers %d shows no chains", async (errno) => {
  const { chains } = read((requests) => requests.slice(0, 1).map((it) => naive.acknowledgement(it, errno)));
  expect(await chains).toEqual([]);
});

test("tables are named with their hooks and policies, without those of iptables-nft", () => {
  const of = (family: string, table: string, hook: string, drops = false): BaseChain => ({
    family,
    table,
    name: "c",
    hook,
    drops,
  });
  expect(
    foreignTables([
      of("ip", "filter", "input", true),
      of("ip6", "nat", "prerouting"),
      of("inet", "filter", "input", true),
      of("inet", "filter", "forward"),
      of("inet", "filter", "input"),
      of("ip", "kube-proxy", "prerouting"),
    ]),
  ).toEqual([
    { name: "inet filter", hooks: ["forward", "input (policy drop)"] },
    { name: "ip kube-proxy", hooks: ["prerouting"] },
  ]);
});
