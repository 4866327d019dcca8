import type { AttributeWriter } from "../../../src/kernel/netlink/attributes.ts";
import { NetlinkCounters } from "../../../src/kernel/netlink/counters.ts";
import { beginMessage, endMessage, type Message } from "../../../src/kernel/netlink/message.ts";
import { type NetlinkAnswer, NetlinkSocket } from "../../../src/kernel/netlink/socket.ts";
import * as naive from "./naive-netlink.ts";
import { NetlinkPeer, type Peer } from "./netlink-peer.ts";

const ITEM = 50;

/** A request with so many bytes. */
export const encode = (writer: AttributeWriter, bytes: number) => {
  const message = beginMessage(writer, ITEM, 0);
  writer.bytes(1, new Uint8Array(bytes));
  endMessage(writer, message);
};

/** The request of a dump. */
export const encodeDump = (writer: AttributeWriter) => endMessage(writer, beginMessage(writer, ITEM, 0x300));

/** A socket to the peer, its counters, and what it says about what it sends. */
export const setUp = (peer: Peer, options: { timeoutMs?: number } = {}) => {
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

/** "ok", or the errno with the text of the kernel. */
export const inShort = (answers: readonly NetlinkAnswer[]) =>
  answers.map((answer) => (answer.ok ? "ok" : `${answer.errno}${answer.text === "" ? "" : ` ${answer.text}`}`));

/** The bytes of messages. */
export const payloads = (messages: readonly Message[]) => messages.map(({ payload }) => [...payload]);

/** A part of a dump. */
export const part = (request: naive.NaiveMessage, value: number, flags = 2) =>
  naive.message(60, flags, request.sequence, naive.u32(value));
