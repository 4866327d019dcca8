import type { Errno } from "../../model/kernel/errno.ts";
import { AttributeWriter } from "./attributes.ts";
import { NetlinkConnection, type NetlinkConnectionOptions } from "./connection.ts";
import type { NetlinkCounters } from "./counters.ts";
import { errnoName, NetlinkError } from "./error.ts";
import {
  addFlags,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  readAcknowledgement,
  setSequence,
} from "./message.ts";
import { answerBytes, type Replies, roomOf } from "./receive-buffer.ts";

/** The answer of the kernel to one request of a batch. */
export type NetlinkAnswer =
  | { readonly ok: true; readonly replies: readonly Message[] }
  | {
      readonly ok: false;
      readonly errno: Errno;
      /** The number of `errno`. */
      readonly number: number;
      /** The error text of the kernel; usually "". */
      readonly text: string;
      /** The request as the kernel sent it back, header first (ipset writes the line of the refused entry into it). */
      readonly request: Uint8Array;
    };

export interface NetlinkSocketOptions extends NetlinkConnectionOptions {
  /** Names the number of a refusal; ipset has numbers of its own. */
  readonly nameOf?: (errno: number) => Errno;
}

/** How the items of one call of `request` are sent, and which replies the kernel may send to each. */
export interface Sending extends Replies {
  /** Maximum number of messages in one send. */
  readonly batchMessages?: number;
}

/** Writes one whole message, from `beginMessage` to `endMessage`. */
export type Encode<Item> = (writer: AttributeWriter, item: Item) => void;

/**
 * Reads one part of a dump: "other" for a part that the caller does not need, undefined for a part that cannot be read.
 */
export type Decode<Item> = (message: Message) => Item | "other" | undefined;

/**
 * Maximum number of messages in one send. 64 reach 40-49k requests/s, 256 slightly more, 1,000 block the event loop for
 * 26-31 ms, because the kernel does the work within sendmsg.
 */
const BATCH_MESSAGES = 256;
/**
 * Maximum number of bytes in one send, unless one message alone is longer; the default SO_SNDBUF accepts 160 KB and
 * refuses 544 KB.
 */
const BATCH_BYTES = 65_536;

/** A dump that a concurrent change interrupts is read again. */
const DUMP_ATTEMPTS = 10;

const ACCEPTED: NetlinkAnswer = { ok: true, replies: [] };

/**
 * Sends requests and dumps over one netlink socket, one at a time, in the order of the calls. If the connection fails,
 * the call in progress rejects with a NetlinkError, because its effect is unknown; the next call opens the socket again.
 */
export class NetlinkSocket {
  readonly #connection: NetlinkConnection;
  readonly #counters: NetlinkCounters;
  readonly #nameOf: (errno: number) => Errno;
  readonly #writer = new AttributeWriter();
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: NetlinkSocketOptions) {
    this.#connection = new NetlinkConnection(options);
    this.#counters = options.counters;
    this.#nameOf = options.nameOf ?? errnoName;
  }

  /**
   * Sends a request for each item, many at a time, and returns one answer for each. Only the last request of a batch
   * demands an acknowledgement: the kernel processes a datagram in order and reports each refusal, so a request without
   * a report before the last acknowledgement has succeeded. The receive buffer limits the length of a batch: all of its
   * answers must fit. `operation` completes the text "Cannot …" if the transport fails, which is the only reason to
   * reject.
   */
  request<Item>(
    operation: string,
    items: readonly Item[],
    encode: Encode<Item>,
    sending: Sending,
  ): Promise<readonly NetlinkAnswer[]> {
    return this.#inTurn(async () => {
      const answers: NetlinkAnswer[] = [];
      while (answers.length < items.length) await this.#sendBatch(operation, items, encode, sending, answers);
      return answers;
    });
  }

  /**
   * Returns the parts of one dump (a request with NLM_F_DUMP). Rejects with a NetlinkError: with the errno of the
   * kernel if it refuses, with "EINTR" if concurrent changes interrupt the dump repeatedly, and as `request` does.
   */
  dump(operation: string, encode: (writer: AttributeWriter) => void): Promise<readonly Message[]> {
    return this.dumpAs(operation, encode, (message) => message);
  }

  /**
   * Returns the parts of one dump, each decoded when it arrives: the memory of a datagram is free when the next
   * arrives, unless the result of `decode` has a view of it. Parts decoded as "other" are left out. If `decode` returns
   * undefined for a part, the whole dump rejects with "EBADMSG".
   */
  dumpAs<Item>(
    operation: string,
    encode: (writer: AttributeWriter) => void,
    decode: Decode<Item>,
  ): Promise<readonly Item[]> {
    return this.#inTurn(async () => {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
        const items = await this.#dumpOnce(operation, encode, decode);
        if (items !== undefined) return items;
      }
      throw new NetlinkError(operation, "EINTR", `interrupted ${DUMP_ATTEMPTS} times by concurrent changes`);
    });
  }

  /** Closes the socket for good: the exchange in progress rejects, and so does any later call. */
  close(): void {
    this.#connection.close();
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Encodes as many of the unanswered items as fit into one send, sends them and adds their answers. */
  async #sendBatch<Item>(
    operation: string,
    items: readonly Item[],
    encode: Encode<Item>,
    sending: Sending,
    answers: NetlinkAnswer[],
  ): Promise<void> {
    const room = roomOf(this.#connection.receiveBufferBytes(operation));
    const first = this.#connection.nextSequence();
    const start = answers.length;
    const end = Math.min(items.length, start + (sending.batchMessages ?? BATCH_MESSAGES));
    let awaited = 0;
    let last = 0;
    this.#writer.truncate(0);
    for (let at = start; at < end; at++) {
      const begun = this.#writer.length;
      // The index is within bounds; an item may be `undefined`.
      encode(this.#writer, items[at] as Item);
      awaited += answerBytes(this.#writer.length - begun, sending);
      if (begun > 0 && (this.#writer.length > BATCH_BYTES || awaited > room)) {
        this.#writer.truncate(begun);
        break;
      }
      setSequence(this.#writer, begun, first + answers.length - start);
      answers.push(ACCEPTED);
      last = begun;
    }
    addFlags(this.#writer, last, NLM_F_ACK);
    const count = answers.length - start;
    const datagram = { operation, bytes: this.#writer.written(), first, count };
    await this.#connection.exchange(datagram, (message) => {
      const index = start + message.sequence - first;
      if (message.type === NLMSG_ERROR) answers[index] = this.#answer(message, answers[index]);
      else if (message.type > NLMSG_DONE)
        answers[index] = { ok: true, replies: [...repliesOf(answers[index]), message] };
      return message.type === NLMSG_ERROR && index === answers.length - 1;
    });
  }

  #answer(message: Message, before: NetlinkAnswer | undefined): NetlinkAnswer {
    const { errno, text, request } = readAcknowledgement(message);
    if (errno === 0) return before ?? ACCEPTED;
    const name = this.#nameOf(errno);
    this.#counters.countError(name);
    return { ok: false, errno: name, number: errno, text, request };
  }

  /** Returns undefined if the dump was interrupted. */
  async #dumpOnce<Item>(
    operation: string,
    encode: (writer: AttributeWriter) => void,
    decode: Decode<Item>,
  ): Promise<readonly Item[] | undefined> {
    const items: Item[] = [];
    let unreadable = 0;
    let interrupted = false;
    let refusal: NetlinkError | undefined;
    const first = this.#connection.nextSequence();
    this.#writer.truncate(0);
    encode(this.#writer);
    setSequence(this.#writer, 0, first);
    const datagram = { operation, bytes: this.#writer.written(), first, count: 1 };
    await this.#connection.exchange(datagram, (message) => {
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
      if (message.type > NLMSG_DONE) {
        const item = decode(message);
        if (item === undefined) unreadable++;
        else if (item !== "other") items.push(item);
        return false;
      }
      if (message.type !== NLMSG_DONE && message.type !== NLMSG_ERROR) return false;
      const { errno, text } = readAcknowledgement(message);
      if (errno !== 0) refusal = new NetlinkError(operation, this.#nameOf(errno), text);
      return true;
    });
    if (interrupted) return undefined;
    if (unreadable > 0) refusal ??= new NetlinkError(operation, "EBADMSG", `${unreadable} parts cannot be read`);
    if (refusal === undefined) return items;
    this.#counters.countError(refusal.code);
    throw refusal;
  }
}

function repliesOf(answer: NetlinkAnswer | undefined): readonly Message[] {
  return answer?.ok === true ? answer.replies : [];
}
