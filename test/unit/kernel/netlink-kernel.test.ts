import { expect, test } from "vitest";
import { NetlinkKernel } from "../../../src/kernel/netlink-kernel.ts";
import { type IPAddress, parseAddress } from "../../../src/model/address.ts";
import { addressEntry, ipset } from "../../../src/model/ipset.ts";
import { realServer, type Scheduler, virtualServer } from "../../../src/model/ipvs.ts";
import type { Operation } from "../../../src/model/operation.ts";
import * as naive from "../../support/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../support/netlink-peer.ts";

const { attribute, i32, nested, text, u16, u32 } = naive;

const ip = (value: string): IPAddress => {
  const address = parseAddress(value);
  if (address === undefined) throw new Error(value);
  return address;
};
const server = (address: string) => virtualServer("TCP", ip(address), 80, { scheduler: "rr" as Scheduler });

const IPVS = 31;
const IPSET_PROTOCOL = 0x601;
/** What a kernel says before it can be asked for more: number of the family, index of the interface, version of ipset. */
const introduction = (it: naive.NaiveMessage, protocol: number): naive.Bytes => {
  if (protocol === 16) return naive.message(16, 0, it.sequence, [1, 2, 0, 0], attribute(1, u16(IPVS)));
  if (protocol === 12) {
    return naive.message(IPSET_PROTOCOL, 0, it.sequence, [0, 0, 0, 0], attribute(1, [7]), attribute(10, [6]));
  }
  const header = [0, 0, ...u16(0), ...i32(7), ...u32(0), ...u32(0)];
  const dummy = nested(18, attribute(1, text("dummy")));
  return naive.message(16, 0, it.sequence, header, attribute(3, text("kube-ipvs0")), dummy);
};
const asksFor = (it: naive.NaiveMessage, protocol: number) =>
  (protocol === 16 && it.type === 16) ||
  (protocol === 0 && it.type === 18) ||
  (protocol === 12 && it.type === IPSET_PROTOCOL);

test("operations go out in their order, neighbours of one protocol together, with one outcome each", async () => {
  const log: string[] = [];
  const peer = new NetlinkPeer((requests, protocol) =>
    requests.flatMap((it) => {
      if (asksFor(it, protocol)) return [introduction(it, protocol), ...accepting([it])];
      if (it === requests[0]) log.push(`protocol ${protocol} x ${requests.length}`);
      // DEL_SERVICE of what is not there.
      return protocol === 16 && it.body[0] === 3 ? [naive.verdict(it, 3)] : accepting([it]);
    }),
  );
  const kernel = new NetlinkKernel({ chains: {}, open: peer.open });
  const [web, api] = [server("10.0.0.1"), server("10.0.0.2")];
  const set = ipset("KUBE-IPVS-IPS", "IPv4");
  const operations: Operation[] = [
    { kind: "add-entry", entry: addressEntry(set, web.address) },
    { kind: "add-entry", entry: addressEntry(set, api.address) },
    { kind: "add-virtual-server", server: web },
    { kind: "add-real-server", server: web, real: realServer(ip("10.1.0.1"), 80) },
    { kind: "bind-address", address: web.address },
    { kind: "unbind-address", address: api.address },
    { kind: "delete-virtual-server", server: api },
    { kind: "delete-entry", entry: addressEntry(set, api.address) },
  ];
  const outcomes = await kernel.apply(operations);
  expect(outcomes.map((outcome) => (outcome.ok ? "ok" : outcome.errno))).toEqual([
    ...["ok", "ok", "ok", "ok", "ok", "ok"],
    "ESRCH",
    "ok",
  ]);
  expect(log).toEqual(["protocol 12 x 1", "protocol 16 x 2", "protocol 0 x 2", "protocol 16 x 1", "protocol 12 x 1"]);
  expect([...kernel.counters.errors]).toEqual([["ESRCH", 1]]);
  await kernel.close();
});

test("after a lost socket the next call goes over a new one", async () => {
  const peer = new NetlinkPeer((requests, protocol) =>
    requests.flatMap((it) => (asksFor(it, protocol) ? [introduction(it, protocol), ...accepting([it])] : [[0, 0, 0]])),
  );
  const kernel = new NetlinkKernel({ chains: {}, open: peer.open });
  const operation: Operation = { kind: "add-virtual-server", server: server("10.0.0.1") };
  await expect(kernel.apply([operation])).rejects.toMatchObject({ code: "EBADMSG" });
  peer.peer = accepting;
  expect(await kernel.apply([operation])).toEqual([{ ok: true }]);
  expect(peer.opened).toBe(2);
  await kernel.close();
});
