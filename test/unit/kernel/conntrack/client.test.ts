import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { ConntrackClient } from "../../../../src/kernel/conntrack/client.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import type { OpenRawSocket } from "../../../../src/kernel/netlink/raw-socket.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { virtualServerKey } from "../../../../src/model/kernel/ipvs.ts";
import type { ForgetFlows } from "../../../../src/model/kernel/operation.ts";
import { type RealServerParts, RealServers } from "../../../../src/model/kernel/real-servers.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../../support/netlink/netlink-peer.ts";
import { address } from "../../../support/objects/desired.ts";
import { flowAttributes, tuple4 } from "./naive-flows.ts";

const LIST = 0x101;
const DELETE = 0x102;

/** "10.0.0.9:4000 > 10.96.0.10:53 > 10.244.0.5:5353": client, destination, and answering endpoint. */
type FlowText = string;

/** A kernel with these flows, which answers every list with all of them, as one without filters. */
const setUp = (flows: readonly FlowText[], failsWith: (it: naive.NaiveMessage) => number = () => 0) => {
  const deleted: naive.Bytes[] = [];
  const peer = new NetlinkPeer((requests) =>
    requests.flatMap((it) => {
      const errno = failsWith(it);
      if (errno !== 0) return [naive.acknowledgement(it, errno)];
      if (it.type === LIST) return [...flows.map((text, id) => partOf(it, text, id)), naive.done(it)];
      deleted.push(it.body);
      return accepting([it]);
    }),
  );
  const counters = new NetlinkCounters();
  const socket = () => new NetlinkSocket({ protocol: 12, messageBytes: 4096, open: peer.open, counters });
  const forgotten: string[] = [];
  const client = new ConntrackClient({
    commands: socket(),
    dumps: socket(),
    onForgotten: ({ family, flows }) => forgotten.push(`${family} ${flows}`),
  });
  const wasDeleted = (text: FlowText) => {
    const { to } = tuplesOf(text);
    const bytes = naive.nested(1, to).join();
    return deleted.some((body) => body.join().includes(bytes));
  };
  return { client, peer, forgotten, left: () => flows.filter((text) => !wasDeleted(text)) };
};

function tuplesOf(text: FlowText): { to: naive.Bytes; back: naive.Bytes } {
  const [client = "", to = "", from = ""] = text.split(" > ");
  return { to: tuple4(17, client, to), back: tuple4(17, from, client) };
}

const partOf = (it: naive.NaiveMessage, text: FlowText, id: number) =>
  naive.message(0x100, 2, it.sequence, [2, 0, 0, 0], flowAttributes({ ...tuplesOf(text), id }));

const forget = (ip: string, port: number, ...keep: readonly RealServerParts[]): ForgetFlows => ({
  kind: "forget-flows",
  to: virtualServerKey("UDP", address(ip), port),
  keep: RealServers.of(keep),
});
const pod = (ip: string) => ({ address: address(ip), port: 5353 });
/** Types of the messages of each datagram. */
const sends = (peer: NetlinkPeer) => peer.sent.map((requests) => requests.map(({ type }) => type));

const KEPT = "10.0.0.9:4000 > 10.96.0.10:53 > 10.244.0.5:5353";
const GONE = "10.0.0.9:4001 > 10.96.0.10:53 > 10.244.0.6:5353";
const OTHER_TARGET = "10.0.0.9:4002 > 10.96.0.10:53 > 10.244.0.5:5354";
const NOT_REWRITTEN = "10.0.0.9:4003 > 10.96.0.10:53 > 10.96.0.10:53";
const OTHER_PORT = "10.0.0.9:4004 > 10.96.0.10:54 > 10.244.0.6:5353";
const OTHER_ADDRESS = "10.0.0.9:4005 > 10.99.0.1:53 > 10.99.0.1:53";

test("only flows to the server that none of its real servers answers are deleted", async () => {
  const { client, forgotten, left } = setUp([KEPT, GONE, OTHER_TARGET, NOT_REWRITTEN, OTHER_PORT, OTHER_ADDRESS]);
  expect(await client.forget([forget("10.96.0.10", 53, pod("10.244.0.5"))])).toEqual([{ ok: true }]);
  expect(left()).toEqual([KEPT, OTHER_PORT, OTHER_ADDRESS]);
  expect(forgotten).toEqual(["IPv4 3"]);
});

test("if no flow is stale, only the list is requested", async () => {
  const { client, peer } = setUp([KEPT]);
  await client.forget([forget("10.96.0.10", 53, pod("10.244.0.5"))]);
  expect(sends(peer)).toEqual([[LIST]]);
});

test("flows of a few servers are listed one by one, those of many servers of a protocol in one list", async () => {
  const flows = [GONE, OTHER_PORT, OTHER_ADDRESS];
  const few = setUp(flows);
  await few.client.forget([forget("10.96.0.10", 53), forget("10.96.0.10", 54)]);
  expect(sends(few.peer).filter(([type]) => type === LIST)).toHaveLength(2);
  expect(few.left()).toEqual([OTHER_ADDRESS]);

  const many = setUp(flows);
  const operations = Array.from({ length: 40 }, (_, index) => forget("10.96.0.10", 53 + index));
  expect(await many.client.forget(operations)).toEqual(operations.map(() => ({ ok: true })));
  expect(sends(many.peer)).toEqual([[LIST], [DELETE, DELETE]]);
  expect(many.left()).toEqual([OTHER_ADDRESS]);
});

test("a flow that is already gone counts as deleted; a flow that cannot be deleted fails only its own server", async () => {
  const [busy, absent] = [16, 2];
  let next = absent;
  const { client, forgotten } = setUp([GONE, OTHER_PORT], (it) => {
    if (it.type !== DELETE) return 0;
    const errno = next;
    next = busy;
    return errno;
  });
  expect(await client.forget([forget("10.96.0.10", 53), forget("10.96.0.10", 54)])).toEqual([
    { ok: true },
    { ok: false, errno: "EBUSY" },
  ]);
  expect(forgotten).toEqual(["IPv4 1"]);
});

test("a failed list fails the servers that need it, and no call rejects", async () => {
  const { client } = setUp([GONE, OTHER_ADDRESS], (it) =>
    it.type === LIST && it.body.join().includes("10,96") ? 22 : 0,
  );
  expect(await client.forget([forget("10.96.0.10", 53), forget("10.99.0.1", 53)])).toEqual([
    { ok: false, errno: "EINVAL" },
    { ok: true },
  ]);
});

test("of a long list only stale flows are kept in memory", async () => {
  const [long, every] = [6_000, 300];
  const datagrams: WeakRef<ArrayBuffer>[] = [];
  let alive = Number.POSITIVE_INFINITY;
  let deleted = 0;
  /** A kernel with so many flows, some of them stale, that counts which of its answers are still in memory at the end of the list. */
  const open: OpenRawSocket = (_options, listener) => {
    const send = async (it: naive.NaiveMessage) => {
      if (it.type === DELETE) {
        deleted += 1;
        for (const verdict of accepting([it])) listener.message(Uint8Array.from(verdict), 0);
        return;
      }
      for (let id = 0; id < long; id++) {
        const datagram = Uint8Array.from(partOf(it, id % every === 0 ? GONE : KEPT, id));
        datagrams.push(new WeakRef(datagram.buffer));
        listener.message(datagram, 0);
        // A WeakRef keeps its object until the next turn of the event loop.
        if (id % every === 0) await nextTurn();
      }
      await nextTurn();
      collectGarbage();
      alive = datagrams.filter((each) => each.deref() !== undefined).length;
      listener.message(Uint8Array.from(naive.done(it)), 0);
    };
    return {
      receiveBufferBytes: 425_984,
      send: (bytes) => void naive.split(bytes).map((it) => nextTurn().then(() => send(it))),
      close: () => undefined,
    };
  };
  const socket = () => new NetlinkSocket({ protocol: 12, messageBytes: 4096, open, counters: new NetlinkCounters() });
  const client = new ConntrackClient({ commands: socket(), dumps: socket() });
  expect(await client.forget([forget("10.96.0.10", 53, pod("10.244.0.5"))])).toEqual([{ ok: true }]);
  expect(deleted).toBe(long / every);
  expect(alive).toBeLessThan(every);
});

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}
