import { expect, test } from "vitest";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NftablesClient } from "../../../../src/kernel/nftables/client.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { NetlinkPeer, type Peer } from "../../../support/netlink/netlink-peer.ts";

function setup(peer: Peer) {
  const kernel = new NetlinkPeer(peer);
  const counters = new NetlinkCounters();
  const client = new NftablesClient({ protocol: 12, messageBytes: 2048, open: kernel.open, counters });
  return { kernel, client };
}

/** A kernel that answers the second of three messages. */
const answering =
  (errno: number): Peer =>
  (requests) =>
    requests.slice(1, 2).map((it) => naive.acknowledgement(it, errno));

test("a table is deleted by a transaction for nf_tables of three messages, of which one is acknowledged", async () => {
  const { kernel, client } = setup(answering(0));
  expect(await client.deleteTable("IPv6", "kube-proxy")).toBe("deleted");
  const [begin, deletion, end] = kernel.sent[0] ?? [];
  expect([begin?.type, deletion?.type, end?.type]).toEqual([0x10, (10 << 8) | 2, 0x11]);
  // struct nfgenmsg: family, version, resource in network order.
  expect([begin?.body, end?.body]).toEqual([
    [0, 0, 0, 10],
    [0, 0, 0, 10],
  ]);
  expect(deletion?.body).toEqual([10, 0, 0, 0, ...naive.attribute(1, naive.text("kube-proxy"))]);
  expect([begin?.flags, deletion?.flags, end?.flags]).toEqual([1, 5, 1]);
});

test.each([
  [2, "absent"],
  [95, "absent"],
  [1, "EPERM"],
  [16, "EBUSY"],
])("the answer %d of the kernel is %s", async (errno, expected) => {
  const { client } = setup(answering(errno));
  expect(await client.deleteTable("IPv4", "kube-proxy")).toBe(expected);
});

test("a kernel without nf_tables refuses the first message, and has no such table", async () => {
  const { client } = setup((requests) => requests.slice(0, 1).map((it) => naive.acknowledgement(it, 95)));
  expect(await client.deleteTable("IPv4", "kube-proxy")).toBe("absent");
  expect(await client.deleteTable("IPv6", "kube-proxy")).toBe("absent");
});

test("a table is found by a question outside a transaction, which changes nothing", async () => {
  const { kernel, client } = setup((requests) =>
    requests.map((it) => naive.message(10 << 8, 0, it.sequence, [2, 0, 0, 0], naive.attribute(1, naive.text("x")))),
  );
  expect(await client.hasTable("IPv4", "kube-proxy")).toBe(true);
  const [question] = kernel.sent[0] ?? [];
  expect([question?.type, question?.flags]).toEqual([(10 << 8) | 1, 1]);
  expect(question?.body).toEqual([2, 0, 0, 0, ...naive.attribute(1, naive.text("kube-proxy"))]);
  kernel.peer = (requests) => requests.map((it) => naive.acknowledgement(it, 2));
  expect(await client.hasTable("IPv4", "kube-proxy")).toBe(false);
});
