/**
 * What the answers of the kernel take of a socket's receive buffer. An answer that finds no room is lost, the kernel
 * reports ENOBUFS, and that ends the process (the addon builds its error from a null string). So no batch may draw more
 * than the buffer holds, whatever the kernel answers.
 */

/** Of each message: `struct sk_buff`, aligned. */
const SK_BUFF_BYTES = 256;
/** At the end of its data: `struct skb_shared_info`. */
const SHARED_INFO_BYTES = 320;
/** The smallest room for data and shared info, from Linux 6.3 on (`skb_small_head_cache`); 512 before. */
const SMALLEST_HEAD_BYTES = 704;
/** Before the request that a refusal carries back: its own header and the number of the error. */
const VERDICT_BYTES = 20;

/** Bytes of the receive buffer that a message of so many bytes takes: its data has room in powers of two. */
function chargedBytes(messageBytes: number): number {
  const needed = messageBytes + SHARED_INFO_BYTES;
  return SK_BUFF_BYTES + Math.max(SMALLEST_HEAD_BYTES, 2 ** (32 - Math.clz32(needed - 1)));
}

/** What the kernel may answer to each request of a batch beside its verdict, in bytes of the receive buffer. */
export interface Replies {
  readonly replyBytes: number;
}

/** The kernel answers with a verdict alone. */
export const NO_REPLY: Replies = { replyBytes: 0 };

/**
 * A reply that the kernel writes into a message of its default size (NLMSG_DEFAULT_SIZE): a page, at most 8 KB. Mostly it
 * cuts off what is unused before it hands the message over (1,280 bytes are left for a virtual server), but not when
 * memory is short.
 */
export const DEFAULT_REPLY: Replies = { replyBytes: SK_BUFF_BYTES + 8_192 };

/** A reply for which the kernel makes a message of so many bytes at most. */
export function replyOf(messageBytes: number): Replies {
  return { replyBytes: chargedBytes(messageBytes) };
}

/** Most that the answer to one request may take: every request can be refused, and a refusal carries its request back. */
export function answerBytes(requestBytes: number, { replyBytes }: Replies): number {
  return Math.max(chargedBytes(VERDICT_BYTES + requestBytes), replyBytes);
}

/** What the answers of one batch may take; a third of what was granted is kept free for its ACK and for what others send. */
export function roomOf(receiveBufferBytes: number): number {
  return (receiveBufferBytes * 2) / 3;
}
