import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import type { OpenRawSocket } from "../../../../src/kernel/netlink/raw-socket.ts";
import { NO_REPLY } from "../../../../src/kernel/netlink/receive-buffer.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { encode, encodeDump, inShort, part, payloads, setUp } from "../../../support/netlink/counted-socket.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer, type Peer } from "../../../support/netlink/netlink-peer.ts";
import { eventually } from "../../../support/time/eventually.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const silent: Peer = () => [];

test("no answer within the timeout rejects and closes, and the next request opens a new socket", async () => {
  const { counters, kernel, socket } = setUp(silent, { timeoutMs: 5000 });
  const outcome = expect(socket.request("do it", [1], encode, NO_REPLY)).rejects.toMatchObject({
    name: "NetlinkError",
    code: "ETIMEDOUT",
    operation: "do it",
  });
  await eventually(() => expect(vi.getTimerCount()).toBe(1));
  vi.advanceTimersByTime(4999);
  expect(kernel.closed).toBe(0);
  vi.advanceTimersByTime(1);
  await outcome;
  expect([kernel.opened, kernel.closed, [...counters.errors]]).toEqual([1, 1, [["ETIMEDOUT", 1]]]);

  kernel.peer = accepting;
  expect(inShort(await socket.request("x", [1], encode, NO_REPLY))).toEqual(["ok"]);
  expect(kernel.opened).toBe(2);
  expect(vi.getTimerCount()).toBe(0);
});

test("each part of a dump restarts the timeout", async () => {
  const { kernel, socket } = setUp(silent, { timeoutMs: 5000 });
  const dump = socket.dump("x", encodeDump);
  await eventually(() => expect(kernel.sent.length).toBe(1));
  const [it] = kernel.sent[0] ?? [];
  for (const value of [1, 2, 3]) {
    vi.advanceTimersByTime(4000);
    await new Promise(setImmediate);
    kernel.listener.message(Uint8Array.from(it ? part(it, value) : []), 0);
  }
  kernel.listener.message(Uint8Array.from(it ? naive.done(it) : []), 0);
  expect((await dump).length).toBe(3);
});

test("an answer that was unread when the timeout expired is accepted", async () => {
  const { kernel, socket } = setUp(silent, { timeoutMs: 5000 });
  const answers = socket.request("x", [1], encode, NO_REPLY);
  await eventually(() => expect(vi.getTimerCount()).toBe(1));
  vi.advanceTimersByTime(60_000);
  const [it] = kernel.sent[0] ?? [];
  kernel.listener.message(Uint8Array.from(it ? naive.acknowledgement(it, 0) : []), 0);
  expect(inShort(await answers)).toEqual(["ok"]);
});

test("requests that wait behind a lost exchange use the new socket", async () => {
  const { kernel, socket } = setUp(silent, { timeoutMs: 5000 });
  const lost = expect(socket.request("x", [1], encode, NO_REPLY)).rejects.toMatchObject({ code: "ETIMEDOUT" });
  const next = socket.request("x", [1, 2], encode, NO_REPLY);
  await eventually(() => expect(vi.getTimerCount()).toBe(1));
  kernel.peer = accepting;
  vi.advanceTimersByTime(5000);
  await lost;
  expect(inShort(await next)).toEqual(["ok", "ok"]);
});

const failure = (code: string) => Object.assign(new Error("broken"), { code });

test("an error of the socket rejects the running requests with its code", async () => {
  const { counters, kernel, socket } = setUp(silent);
  const outcome = expect(socket.request("x", [1], encode, NO_REPLY)).rejects.toMatchObject({ code: "ENOBUFS" });
  await eventually(() => expect(kernel.sent.length).toBe(1));
  kernel.listener.error(failure("ENOBUFS"));
  await outcome;
  expect([kernel.closed, [...counters.errors]]).toEqual([1, [["ENOBUFS", 1]]]);
});

test("an error of an idle socket makes the next request open a new one", async () => {
  const { kernel, socket } = setUp(accepting);
  await socket.request("x", [1], encode, NO_REPLY);
  kernel.listener.error(failure("ENOBUFS"));
  expect(inShort(await socket.request("x", [1], encode, NO_REPLY))).toEqual(["ok"]);
  expect(kernel.opened).toBe(2);
});

test("a send that fails rejects", async () => {
  const { kernel, socket } = setUp(() => {
    throw failure("EMSGSIZE");
  });
  await expect(socket.request("x", [1], encode, NO_REPLY)).rejects.toMatchObject({ code: "EMSGSIZE" });
  expect([kernel.closed, vi.getTimerCount()]).toEqual([1, 0]);
});

test("a protocol that the kernel lacks rejects", async () => {
  const counters = new NetlinkCounters();
  const open: OpenRawSocket = () => {
    throw failure("EPROTONOSUPPORT");
  };
  const socket = new NetlinkSocket({ protocol: 12, messageBytes: 4096, open, counters });
  await expect(socket.request("x", [1], encode, NO_REPLY)).rejects.toMatchObject({ code: "EPROTONOSUPPORT" });
});

test.each<[string, (it: naive.NaiveMessage) => naive.Bytes]>([
  ["cut off", (it) => part(it, 1).slice(0, 18)],
  ["without a length", () => new Array<number>(20).fill(0)],
])("a datagram %s rejects and does not throw into the addon", async (_, reply) => {
  const { kernel, socket } = setUp(([it]) => (it ? [reply(it)] : []));
  await expect(socket.dump("x", encodeDump)).rejects.toMatchObject({ code: "EBADMSG" });
  expect(kernel.closed).toBe(1);
});

test("a bug in the reader of answers rejects the request, and never throws in a callback of the addon", async () => {
  const { counters, socket, kernel } = setUp((requests) => requests.flatMap((it) => [part(it, 1), naive.done(it)]));
  const bug = new TypeError("undefined is not a function");
  const buggy = () => {
    throw bug;
  };
  await expect(socket.dumpAs("x", encodeDump, buggy)).rejects.toBe(bug);
  expect([...counters.errors]).toEqual([]);
  expect(payloads(await socket.dump("x", encodeDump))).toEqual([[1, 0, 0, 0]]);
  expect([kernel.opened, kernel.closed]).toEqual([2, 1]);
});

test("closing a socket rejects running and later requests, and opens no new socket", async () => {
  const { kernel, socket } = setUp(silent);
  const outcome = expect(socket.request("x", [1], encode, NO_REPLY)).rejects.toMatchObject({ code: "ECANCELED" });
  await eventually(() => expect(kernel.sent.length).toBe(1));
  const waiting = expect(socket.dump("y", encodeDump)).rejects.toMatchObject({ code: "ECANCELED" });
  socket.close();
  await outcome;
  await waiting;
  await expect(socket.request("z", [1], encode, NO_REPLY)).rejects.toMatchObject({ code: "ECANCELED" });
  expect([kernel.opened, kernel.closed]).toEqual([1, 1]);
});

test("results are delivered outside of the addon's callbacks", async () => {
  let inCallback = false;
  const kernel = new NetlinkPeer(silent);
  const socket = new NetlinkSocket({
    protocol: 16,
    messageBytes: 4096,
    open: kernel.open,
    counters: new NetlinkCounters(),
  });
  const seen = socket.request("x", [1], encode, NO_REPLY).then(() => inCallback);
  await eventually(() => expect(kernel.sent.length).toBe(1));
  const [it] = kernel.sent[0] ?? [];
  inCallback = true;
  kernel.listener.message(Uint8Array.from(it ? naive.acknowledgement(it, 0) : []), 0);
  // The addon runs microtasks before its callback ends.
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  inCallback = false;
  expect(await seen).toBe(false);
});
