import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DEFAULT_REPLY, NO_REPLY, replyOf } from "../../../../src/kernel/netlink/receive-buffer.ts";
import { encode, encodeDump, inShort, part, payloads, setUp } from "../../../support/netlink/counted-socket.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting } from "../../../support/netlink/netlink-peer.ts";
import { eventually } from "../../../support/time/eventually.ts";

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
