import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Message } from "../../../../src/kernel/netlink/message.ts";
import { encodeDump, part, payloads, setUp } from "../../../support/netlink/counted-socket.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
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

test("parts of a dump that was given up are ignored", async () => {
  const { socket } = setUp(([it]) => {
    if (it === undefined) return [];
    const late = { ...it, sequence: it.sequence - 1 };
    return [part(late, 8), naive.done(late), part(it, 1), naive.done(it)];
  });
  await socket.dump("x", encodeDump);
  expect(payloads(await socket.dump("x", encodeDump))).toEqual([[1, 0, 0, 0]]);
});
