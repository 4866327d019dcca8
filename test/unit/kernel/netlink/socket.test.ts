import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { beginMessage, endMessage, type Message } from "../../../../src/kernel/netlink/message.ts";
import type { OpenRawSocket } from "../../../../src/kernel/netlink/raw-socket.ts";
import { DEFAULT_REPLY, NO_REPLY, replyOf } from "../../../../src/kernel/netlink/receive-buffer.ts";
import { type NetlinkAnswer, NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer, type Peer } from "../../../support/netlink/netlink-peer.ts";
import { eventually } from "../../../support/time/eventually.ts";

const ITEM = 50;
const encode = (writer: AttributeWriter, bytes: number) => {
  const message = beginMessage(writer, ITEM, 0);
  writer.bytes(1, new Uint8Array(bytes));
  endMessage(writer, message);
};
const encodeDump = (writer: AttributeWriter) => endMessage(writer, beginMessage(writer, ITEM, 0x300));

const setUp = (peer: Peer, options: { timeoutMs?: number } = {}) => {
  const kernel = new NetlinkPeer(peer);
  const counters = new NetlinkCounters();
  const seen: [number, number][] = [];
  const socket = new NetlinkSocket({
    protocol: 16,
    messageBytes: 4096,
    open: kernel.open,
    counters,
    onSend: (bytes, protocol) => seen.push([protocol, bytes.length]),
    ...options,
  });
  return { kernel, counters, socket, seen };
};

const inShort = (answers: readonly NetlinkAnswer[]) =>
  answers.map((answer) => (answer.ok ? "ok" : `${answer.errno}${answer.text === "" ? "" : ` ${answer.text}`}`));
const payloads = (messages: readonly Message[]) => messages.map(({ payload }) => [...payload]);
const part = (request: naive.NaiveMessage, value: number, flags = 2) =>
  naive.message(60, flags, request.sequence, naive.u32(value));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a batch is one send, and only its last message requests an acknowledgement", async () => {
  const { kernel, counters, socket, seen } = setUp(accepting);
  expect(inShort(await socket.request("x", [1, 2, 3], encode, NO_REPLY))).toEqual(["ok", "ok", "ok"]);
  expect(kernel.sent.map((requests) => requests.map(({ flags }) => flags))).toEqual([[1, 1, 5]]);
  const sequences = kernel.sent[0]?.map(({ sequence }) => sequence) ?? [];
  expect(sequences.map((sequence) => sequence - (sequences[0] ?? 0))).toEqual([0, 1, 2]);
  expect([counters.sends, counters.messages, [...counters.errors]]).toEqual([1, 3, []]);
  expect(seen).toEqual([[16, 24 * 3]]);
});

test("without requests nothing is sent", async () => {
  const { kernel, socket } = setUp(accepting);
  expect(await socket.request("x", [], encode, NO_REPLY)).toEqual([]);
  expect([kernel.opened, kernel.sent.length]).toEqual([0, 0]);
});

test.each<[string, number[], string[]]>([
  ["in the middle", [1], ["ok", "EEXIST", "ok", "ok"]],
  ["of the first", [0], ["EEXIST", "ok", "ok", "ok"]],
  ["of the last", [3], ["ok", "ok", "ok", "EEXIST"]],
  ["of all", [0, 1, 2, 3], ["EEXIST", "EEXIST", "EEXIST", "EEXIST"]],
])("an error %s is assigned to its request", async (_, refused, expected) => {
  const { counters, socket } = setUp((requests) => {
    const refusals = refused
      .flatMap((index) => requests.slice(index, index + 1))
      .map((it) => naive.acknowledgement(it, 17));
    return refused.includes(3) ? refusals : [...refusals, ...accepting(requests)];
  });
  expect(inShort(await socket.request("x", [1, 2, 3, 4], encode, NO_REPLY))).toEqual(expected);
  expect([...counters.errors]).toEqual([["EEXIST", refused.length]]);
});

test("several answers may come in one datagram", async () => {
  const { socket } = setUp((requests) => [
    requests.flatMap((it, index) => (index === 1 ? naive.acknowledgement(it, 2) : (accepting([it])[0] ?? []))),
  ]);
  expect(inShort(await socket.request("x", [1, 2, 3], encode, NO_REPLY))).toEqual(["ok", "ENOENT", "ok"]);
});

test("an error has the text of the kernel and the request", async () => {
  const { kernel, socket } = setUp(([it]) => (it ? [naive.acknowledgement(it, 22, { text: "no such mask" })] : []));
  const [answer] = await socket.request("x", [5], encode, NO_REPLY);
  expect(inShort(answer ? [answer] : [])).toEqual(["EINVAL no such mask"]);
  expect(answer?.ok === false && [...answer.request]).toEqual([...(kernel.sent[0]?.[0]?.whole ?? [])]);
});

test("an error truncated by the receive buffer is still an error", async () => {
  const { kernel, socket } = setUp(() => []);
  const answers = socket.request("x", [4000], encode, NO_REPLY);
  await eventually(() => expect(kernel.sent.length).toBe(1));
  const [it] = kernel.sent[0] ?? [];
  const whole = it ? naive.acknowledgement(it, 4103) : [];
  kernel.listener.message(Uint8Array.from(whole.slice(0, 1000)), whole.length);
  expect(inShort(await answers)).toEqual(["E4103"]);
});

test("the data of a request is in its answer", async () => {
  const { socket } = setUp((requests) => [
    ...requests.map((it, index) => (index === 1 ? naive.acknowledgement(it, 3) : part(it, 100 + index, 0))),
    ...accepting(requests),
  ]);
  const answers = await socket.request("x", [1, 2, 3], encode, NO_REPLY);
  expect(answers.map((answer) => (answer.ok ? payloads(answer.replies) : answer.errno))).toEqual([
    [[100, 0, 0, 0]],
    "ESRCH",
    [[102, 0, 0, 0]],
  ]);
});

test.each<[string, number, number, number[]]>([
  ["by count", 600, 4, [256, 256, 88]],
  ["by bytes", 40, 4000, [16, 16, 8]],
])("requests that exceed one send are split %s", async (_, items, bytes, batches) => {
  const { kernel, socket } = setUp(accepting);
  const answers = await socket.request("x", new Array<number>(items).fill(bytes), encode, NO_REPLY);
  expect(inShort(answers)).toEqual(new Array(items).fill("ok"));
  expect(kernel.sent.map((requests) => requests.length)).toEqual(batches);
});

test("the batch size of the caller is respected", async () => {
  const { kernel, socket } = setUp(accepting);
  await socket.request("x", [1, 2, 3, 4, 5], encode, { ...NO_REPLY, batchMessages: 2 });
  expect(kernel.sent.map((requests) => requests.length)).toEqual([2, 2, 1]);
});

/** The receive buffer that the kernel uses for a message: its sk_buff, and room for data in one of its sizes. */
const charged = (messageBytes: number) =>
  256 +
  ([704, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072].find((room) => room >= messageBytes + 320) ?? 0);

test("the answers to any batch and its acknowledgement fit the granted receive buffer", async () => {
  const sizes = fc.array(fc.oneof({ weight: 5, arbitrary: fc.nat(200) }, fc.nat(60_000)), { maxLength: 400 });
  // 4,608 is the least that Linux grants; there and above, one request and its answer always fit.
  const granted = fc.integer({ min: 4_608, max: 500_000 });
  const replies = fc.constantFrom(NO_REPLY, DEFAULT_REPLY, replyOf(2_000), replyOf(16_384));
  await fc.assert(
    fc.asyncProperty(sizes, granted, replies, async (items, receiveBufferBytes, reply) => {
      const { kernel, socket } = setUp(accepting);
      kernel.receiveBufferBytes = receiveBufferBytes;
      expect(inShort(await socket.request("x", items, encode, reply))).toEqual(items.map(() => "ok"));
      expect(new Set(kernel.sent.flat().map(({ sequence }) => sequence)).size).toBe(items.length);
      for (const requests of kernel.sent.filter(({ length }) => length > 1)) {
        const answers = requests.map(({ whole }) => Math.max(charged(16 + 4 + whole.length), reply.replyBytes));
        expect(answers.reduce((sum, bytes) => sum + bytes, charged(16 + 4 + 16))).toBeLessThanOrEqual(
          receiveBufferBytes,
        );
      }
    }),
  );
});

test.each<[string, number, number[]]>([
  ["small requests", 163_840, [113, 113, 74]],
  ["small requests with the default buffer", 425_984, [256, 44]],
])("as many %s are sent at once as there is room for", async (_, receiveBufferBytes, batches) => {
  const { kernel, socket } = setUp(accepting);
  kernel.receiveBufferBytes = receiveBufferBytes;
  await socket.request("x", new Array<number>(300).fill(100), encode, NO_REPLY);
  expect(kernel.sent.map((requests) => requests.length)).toEqual(batches);
});

test("a message larger than all limits is sent alone", async () => {
  const { kernel, socket } = setUp(accepting);
  kernel.receiveBufferBytes = 1000;
  expect(inShort(await socket.request("x", [60_000, 60_000], encode, NO_REPLY))).toEqual(["ok", "ok"]);
  expect(kernel.sent.map((requests) => requests.length)).toEqual([1, 1]);
});

test("errors are assigned to the right request across batches", async () => {
  const { socket } = setUp((requests) =>
    requests.flatMap((it) => (it.body.length === 20 ? [naive.acknowledgement(it, 17)] : accepting([it]))),
  );
  const items = new Array<number>(700).fill(4);
  for (const refused of [0, 300, 511, 512, 699]) items[refused] = 16;
  const answers = await socket.request("x", items, encode, NO_REPLY);
  expect(answers.flatMap((answer, index) => (answer.ok ? [] : [index]))).toEqual([0, 300, 511, 512, 699]);
});

test("a dump is read to its end over several datagrams", async () => {
  const { counters, socket } = setUp(([it]) =>
    it ? [[...part(it, 1), ...part(it, 2)], part(it, 3), naive.done(it)] : [],
  );
  expect(payloads(await socket.dump("x", encodeDump))).toEqual([
    [1, 0, 0, 0],
    [2, 0, 0, 0],
    [3, 0, 0, 0],
  ]);
  expect([counters.sends, counters.messages]).toEqual([1, 1]);
});

test.each<[string, (it: naive.NaiveMessage) => naive.Bytes[]]>([
  ["at once", (it) => [naive.acknowledgement(it, 1)]],
  ["at its end", (it) => [part(it, 1), naive.done(it, 1)]],
])("a dump that fails %s rejects with the kernel's errno", async (_, replies) => {
  const { counters, kernel, socket } = setUp(([it]) => (it ? replies(it) : []));
  await expect(socket.dump("list things", encodeDump)).rejects.toMatchObject({
    code: "EPERM",
    message:
      "Cannot list things: EPERM (the process lacks CAP_NET_ADMIN: add the capability NET_ADMIN to the container)",
  });
  expect([...counters.errors]).toEqual([["EPERM", 1]]);
  expect(kernel.closed).toBe(0);
});

test.each<[string, (it: naive.NaiveMessage) => naive.Bytes[]]>([
  ["a part", (it) => [part(it, 1), part(it, 2, 0x12), naive.done(it)]],
  ["the end", (it) => [part(it, 1), naive.done(it, 0, 0x12)]],
])("a dump marked as interrupted in %s is read again, and the first attempt discarded", async (_, interrupted) => {
  let attempt = 0;
  const { socket } = setUp(([it]) => {
    if (it === undefined) return [];
    attempt += 1;
    return attempt < 3 ? interrupted(it) : [part(it, 9), naive.done(it)];
  });
  expect(payloads(await socket.dump("x", encodeDump))).toEqual([[9, 0, 0, 0]]);
  expect(attempt).toBe(3);
});

test("a dump with an unreadable part rejects, and the socket stays usable", async () => {
  const { kernel, socket } = setUp(([it]) => (it ? [part(it, 1), part(it, 2), naive.done(it)] : []));
  const decode = (readable: number) => (message: { payload: Uint8Array }) =>
    (message.payload[0] ?? 0) <= readable ? message.payload[0] : undefined;
  await expect(socket.dumpAs("list things", encodeDump, decode(1))).rejects.toMatchObject({ code: "EBADMSG" });
  expect(await socket.dumpAs("list things", encodeDump, decode(2))).toEqual([1, 2]);
  expect(kernel.closed).toBe(0);
});

test("parts of a dump of another type are left out", async () => {
  const { socket } = setUp((requests) =>
    requests.flatMap((it) => [...[1, 2, 3, 4].map((value) => part(it, value)), naive.done(it)]),
  );
  const even = (message: Message) => ((message.payload[0] ?? 0) % 2 === 0 ? message.payload[0] : "other");
  expect(await socket.dumpAs("x", encodeDump, even)).toEqual([2, 4]);
});

test("a dump interrupted every time rejects", async () => {
  const { kernel, socket } = setUp(([it]) => (it ? [naive.done(it, 0, 0x12)] : []));
  await expect(socket.dump("x", encodeDump)).rejects.toMatchObject({ code: "EINTR" });
  expect(kernel.sent.length).toBe(10);
});

test("one exchange runs at a time, in the order of requests", async () => {
  let waiting = 0;
  let most = 0;
  const { kernel, socket } = setUp((requests) => {
    waiting += 1;
    most = Math.max(most, waiting);
    setImmediate(() => {
      waiting -= 1;
    });
    const [it] = requests;
    return it?.flags === 0x301 ? [part(it, 1), naive.done(it)] : accepting(requests);
  });
  const dump = socket.dump("x", encodeDump);
  const results = await Promise.all([
    socket.request("x", [1], encode, NO_REPLY),
    dump,
    socket.request("x", [1, 2], encode, NO_REPLY),
  ]);
  expect(results.map((result) => result.length)).toEqual([1, 1, 2]);
  expect(kernel.sent.map((requests) => requests.length)).toEqual([1, 1, 2]);
  expect(most).toBe(1);
});

test("messages that answer nothing are ignored", async () => {
  const { socket } = setUp((requests) => {
    const [it] = requests;
    if (it === undefined) return [];
    const late = { ...it, sequence: it.sequence - 1 };
    const notification = { ...it, sequence: 0 };
    const early = { ...it, sequence: it.sequence + 1 };
    return [
      ...[late, notification, early].map((other) => naive.acknowledgement(other, 1)),
      part(notification, 5),
      naive.message(1, 0, it.sequence),
      ...accepting(requests),
    ];
  });
  await socket.request("x", [1], encode, NO_REPLY);
  expect(inShort(await socket.request("x", [1], encode, NO_REPLY))).toEqual(["ok"]);
});

test("parts of a dump that was given up are ignored", async () => {
  const { socket } = setUp(([it]) => {
    if (it === undefined) return [];
    const late = { ...it, sequence: it.sequence - 1 };
    return [part(late, 8), naive.done(late), part(it, 1), naive.done(it)];
  });
  await socket.dump("x", encodeDump);
  expect(payloads(await socket.dump("x", encodeDump))).toEqual([[1, 0, 0, 0]]);
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
