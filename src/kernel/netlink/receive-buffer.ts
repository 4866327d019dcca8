/**
 * Computes how much of the receive buffer of a socket the answers of the kernel use. The kernel drops an answer that
 * does not fit and reports ENOBUFS, which ends the process (the addon builds its error from a null string). Therefore
 * the answers to one batch must always fit into the buffer.
 */

/** Size of `struct sk_buff` for each message, aligned. */
const SK_BUFF_BYTES = 256;
/** Size of `struct skb_shared_info`, at the end of the data. */
const SHARED_INFO_BYTES = 320;
/** The smallest allocation for data and shared info since Linux 6.3 (`skb_small_head_cache`); 512 before. */
const SMALLEST_HEAD_BYTES = 704;
/** Header and error number of a refusal, before the copy of the request. */
const ACKNOWLEDGEMENT_BYTES = 20;

/**
 * Returns how many bytes of the receive buffer a message of `messageBytes` uses: the kernel rounds its data up to a
 * power of two.
 */
function chargedBytes(messageBytes: number): number {
  const needed = messageBytes + SHARED_INFO_BYTES;
  return SK_BUFF_BYTES + Math.max(SMALLEST_HEAD_BYTES, 2 ** (32 - Math.clz32(needed - 1)));
}

/** The replies to each request of a batch, besides its acknowledgement or refusal. */
export interface Replies {
  readonly replyBytes: number;
}

/** The kernel sends no reply, only an acknowledgement or a refusal. */
export const NO_REPLY: Replies = { replyBytes: 0 };

/**
 * A reply in a message of the kernel's default size (NLMSG_DEFAULT_SIZE): a page, at most 8 KB. Usually the kernel cuts
 * off the unused part before it delivers the message (1,280 bytes remain for a virtual server), but not if memory is
 * short.
 */
export const DEFAULT_REPLY: Replies = { replyBytes: SK_BUFF_BYTES + 8_192 };

/** A reply for which the kernel allocates a message of at most `messageBytes`. */
export function replyOf(messageBytes: number): Replies {
  return { replyBytes: chargedBytes(messageBytes) };
}

/**
 * Returns the most bytes that the answer to one request may use. Every request can be refused, and a refusal contains
 * its request.
 */
export function answerBytes(requestBytes: number, { replyBytes }: Replies): number {
  return Math.max(chargedBytes(ACKNOWLEDGEMENT_BYTES + requestBytes), replyBytes);
}

/**
 * Returns how many bytes the answers to one batch may use; a third of the granted buffer stays free for the
 * acknowledgement and for messages of other senders.
 */
export function roomOf(receiveBufferBytes: number): number {
  return (receiveBufferBytes * 2) / 3;
}
