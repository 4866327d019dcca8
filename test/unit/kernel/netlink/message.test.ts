import fc from "fast-check";
import { expect, test } from "vitest";
import { AttributeWriter } from "../../../../src/kernel/netlink/attributes.ts";
import {
  addFlags,
  beginGenericMessage,
  beginMessage,
  beginNetfilterMessage,
  endMessage,
  type Message,
  readAcknowledgement,
  readMessages,
  setSequence,
} from "../../../../src/kernel/netlink/message.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

test.each<[string, (writer: AttributeWriter) => number, naive.Bytes]>([
  ["a plain message", (w) => beginMessage(w, 22, 0x300), naive.message(22, 0x301, 0)],
  ["a generic message", (w) => beginGenericMessage(w, 29, 0, 5), naive.message(29, 1, 0, [5, 1, 0, 0])],
  ["a netfilter message", (w) => beginNetfilterMessage(w, 6, 4, 9, 2), naive.message(0x609, 5, 0, [2, 0, 0, 0])],
])("%s has the header the kernel expects", (_, begin, expected) => {
  const writer = new AttributeWriter(8);
  endMessage(writer, begin(writer));
  expect([...writer.written()]).toEqual(expected);
});

test("sequence and flags are written into their message", () => {
  const writer = new AttributeWriter(8);
  endMessage(writer, beginMessage(writer, 20, 0x600));
  const second = beginMessage(writer, 21, 0);
  writer.u32(1, 5);
  endMessage(writer, second);
  setSequence(writer, 0, 0x01020304);
  setSequence(writer, second, 8);
  addFlags(writer, second, 4);
  const expected = [
    ...naive.message(20, 0x601, 0x01020304),
    ...naive.message(21, 5, 8, naive.attribute(1, naive.u32(5))),
  ];
  expect([...writer.written()]).toEqual(expected);
});

const datagram = (...parts: naive.Bytes[]) => Uint8Array.from(parts.flat());

test("the messages of a datagram are read in order", () => {
  const { messages, whole } = readMessages(datagram(naive.message(20, 2, 7, [1, 2, 3]), naive.message(3, 0, 8)));
  expect(whole).toBe(true);
  expect(messages.map(({ type, flags, sequence, payload }) => [type, flags, sequence, [...payload]])).toEqual([
    [20, 2, 7, [1, 2, 3]],
    [3, 0, 8, []],
  ]);
});

test.each<[string, naive.Bytes, number]>([
  ["a header cut off", naive.message(20, 0, 1).slice(0, 12), 0],
  ["a payload cut off", naive.message(20, 0, 1, [1, 2, 3, 4]).slice(0, 18), 1],
  ["a length below the header", naive.u32(8).concat(naive.message(20, 0, 1).slice(4)), 0],
])("a datagram with %s is not complete", (_, bytes, count) => {
  const { messages, whole } = readMessages(datagram(bytes));
  expect([messages.length, whole]).toEqual([count, false]);
});

const request = naive.split(naive.message(29, 1, 5, [5, 1, 0, 0], naive.attribute(1, [9, 9])))[0] as naive.NaiveMessage;
const only = (bytes: naive.Bytes): Message => readMessages(datagram(bytes)).messages[0] as Message;

test.each<[string, naive.Bytes, number, string, number]>([
  ["an acknowledgement", naive.acknowledgement(request, 0), 0, "", 16],
  ["a refusal", naive.acknowledgement(request, 17), 17, "", request.whole.length],
  ["a refusal that was capped", naive.acknowledgement(request, 2, { capped: true }), 2, "", 16],
  [
    "an error with a text",
    naive.acknowledgement(request, 22, { text: "bad mask" }),
    22,
    "bad mask",
    request.whole.length,
  ],
  ["a capped one with words", naive.acknowledgement(request, 22, { text: "no", capped: true }), 22, "no", 16],
  ["the end of a dump", naive.done(request), 0, "", 0],
  ["the end of a refused dump", naive.done(request, 12), 12, "", 0],
  ["an end without a number", naive.message(3, 2, 5), 0, "", 0],
  [
    "the end of a dump with a text",
    naive.message(
      3,
      0x202,
      5,
      naive.i32(-22),
      naive.attribute(1, naive.text("why")),
      naive.attribute(2, naive.u32(36)),
    ),
    22,
    "why (attribute at offset 36)",
    0,
  ],
])("an acknowledgement is decoded: %s", (_, bytes, errno, text, requestBytes) => {
  const acknowledgement = readAcknowledgement(only(bytes));
  expect([acknowledgement.errno, acknowledgement.text, acknowledgement.request.length]).toEqual([
    errno,
    text,
    requestBytes,
  ]);
});

test("an error returns the request", () => {
  expect([...readAcknowledgement(only(naive.acknowledgement(request, 17))).request]).toEqual([...request.whole]);
});

test("random bytes behind a header never throw", () => {
  fc.assert(
    fc.property(fc.constantFrom(2, 3), fc.nat(0xffff), fc.uint8Array({ maxLength: 120 }), (type, flags, payload) => {
      expect(readAcknowledgement({ type, flags, sequence: 1, payload }).errno).toBeGreaterThanOrEqual(0);
      const { messages } = readMessages(payload);
      expect(messages.length).toBeLessThanOrEqual(payload.length / 16);
    }),
    { numRuns: 2000 },
  );
});
