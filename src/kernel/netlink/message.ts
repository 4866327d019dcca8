import { AttributeReader, type AttributeWriter } from "./attributes.ts";

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
/** In an NLMSG_ERROR: only the header of the request is sent back. */
export const NLM_F_CAPPED = 0x100;
/** On an NLMSG_ERROR or NLMSG_DONE: extended ACK attributes follow. */
export const NLM_F_ACK_TLVS = 0x200;

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const NETLINK_GENERIC = 16;

const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;

/** Length of `struct nlmsghdr`. */
export const MESSAGE_HEADER_BYTES = 16;

/** One received message. `payload` is a view of the datagram. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/**
 * Opens a message and returns its offset, for `endMessage`. It adds NLM_F_REQUEST. Sequence and port stay 0: the socket
 * writes the sequence, the kernel the port.
 *
 *     +-------------+--------+--------+-------------+-------------+
 *     | length  u32 | type   | flags  | sequence u32| port    u32 |   struct nlmsghdr
 *     +-------------+--------+--------+-------------+-------------+
 */
export function beginMessage(writer: AttributeWriter, type: number, flags: number): number {
  const at = writer.reserve(MESSAGE_HEADER_BYTES);
  writer.setU16(at + 4, type);
  writer.setU16(at + 6, flags | NLM_F_REQUEST);
  return at;
}

/** Opens a generic netlink message: the header, then `struct genlmsghdr { u8 cmd; u8 version; u16 reserved }`. */
export function beginGenericMessage(
  writer: AttributeWriter,
  family: number,
  flags: number,
  command: number,
  version = 1,
): number {
  const at = beginMessage(writer, family, flags);
  const header = writer.reserve(GENERIC_HEADER_BYTES);
  writer.setU8(header, command);
  writer.setU8(header + 1, version);
  return at;
}

/** Opens a netfilter message: the header, then `struct nfgenmsg { u8 family; u8 version; be16 resource }`. */
export function beginNetfilterMessage(
  writer: AttributeWriter,
  subsystem: number,
  flags: number,
  command: number,
  addressFamily: number,
): number {
  const at = beginMessage(writer, (subsystem << 8) | command, flags);
  const header = writer.reserve(NETFILTER_HEADER_BYTES);
  writer.setU8(header, addressFamily);
  return at;
}

/** Length of `struct genlmsghdr`; the attributes of a payload start behind it. */
export const GENERIC_HEADER_BYTES = 4;
/** Length of `struct nfgenmsg`. */
export const NETFILTER_HEADER_BYTES = 4;

/** Closes the message that starts at `begun`: writes its length. */
export function endMessage(writer: AttributeWriter, begun: number): void {
  writer.setU32(begun, writer.length - begun);
}

/** Writes the sequence number of the message that starts at `begun`. */
export function setSequence(writer: AttributeWriter, begun: number, sequence: number): void {
  writer.setU32(begun + 8, sequence);
}

/** Adds flags below 0x100 to the message that starts at `begun`. */
export function addFlags(writer: AttributeWriter, begun: number, flags: number): void {
  writer.orU8(begun + 6, flags);
}

/**
 * Splits a datagram into messages. `whole` is false if the last message is cut off; its `payload` is then too short.
 */
export function readMessages(datagram: Uint8Array): { readonly messages: readonly Message[]; readonly whole: boolean } {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const messages: Message[] = [];
  let at = 0;
  while (datagram.length - at >= MESSAGE_HEADER_BYTES) {
    const length = view.getUint32(at, true);
    if (length < MESSAGE_HEADER_BYTES) return { messages, whole: false };
    const end = Math.min(at + length, datagram.length);
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: datagram.subarray(at + MESSAGE_HEADER_BYTES, end),
    });
    if (at + length > datagram.length) return { messages, whole: false };
    at += (length + 3) & ~3;
  }
  return { messages, whole: at >= datagram.length };
}

/** The content of an NLMSG_ERROR or NLMSG_DONE. */
export interface Acknowledgement {
  /** Positive; 0 means success. */
  readonly errno: number;
  /**
   * The error text of the kernel (extended ACK) and the offset of the attribute that it refers to; "" if the kernel
   * sent none.
   */
  readonly text: string;
  /** The request as the kernel sent it back, header first, as far as the kernel copied it. Empty for NLMSG_DONE. */
  readonly request: Uint8Array;
}

/**
 * Reads the end of an exchange. The kernel sends extended ACK attributes only to a socket that set
 * setsockopt(SOL_NETLINK, NETLINK_EXT_ACK), which the `netlink` addon does not offer; they are read wherever they
 * occur.
 *
 *     NLMSG_ERROR  | -errno i32 | nlmsghdr of the request | its payload unless NLM_F_CAPPED | attributes if NLM_F_ACK_TLVS
 *     NLMSG_DONE   | -errno i32 | attributes if NLM_F_ACK_TLVS
 *
 * An NLMSG_DONE without a number (old families) means success.
 */
export function readAcknowledgement(message: Message): Acknowledgement {
  const { payload, flags } = message;
  if (payload.length < 4) return { errno: 0, text: "", request: payload.subarray(0, 0) };
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const errno = Math.abs(view.getInt32(0, true));
  const requestBytes = message.type === NLMSG_ERROR ? bytesOfRequest(view, flags) : 0;
  const text = (flags & NLM_F_ACK_TLVS) === 0 ? "" : readText(payload.subarray((4 + requestBytes + 3) & ~3));
  return { errno, text, request: payload.subarray(4, 4 + requestBytes) };
}

function bytesOfRequest(acknowledgement: DataView, flags: number): number {
  if (acknowledgement.byteLength < 4 + MESSAGE_HEADER_BYTES) return acknowledgement.byteLength - 4;
  if ((flags & NLM_F_CAPPED) !== 0) return MESSAGE_HEADER_BYTES;
  return Math.min(acknowledgement.getUint32(4, true), acknowledgement.byteLength - 4);
}

function readText(attributes: Uint8Array): string {
  const reader = new AttributeReader(attributes);
  let text = "";
  let offset = 0;
  while (reader.next()) {
    if (reader.type === NLMSGERR_ATTR_MSG) text = reader.string();
    if (reader.type === NLMSGERR_ATTR_OFFS) offset = reader.u32();
  }
  if (offset === 0) return text;
  return text === "" ? `attribute at offset ${offset}` : `${text} (attribute at offset ${offset})`;
}
