import { type Errno, errnoNamed } from "../../model/kernel/errno.ts";
import { AttributeWriter } from "./attributes.ts";
import type { NetlinkCounters } from "./counters.ts";
import { errnoName, NetlinkError } from "./error.ts";
import {
  addFlags,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  readAcknowledgement,
  readMessages,
  setSequence,
} from "./message.ts";
import type { OpenRawSocket, RawSocket } from "./raw-socket.ts";
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

export interface NetlinkSocketOptions {
  readonly protocol: number;
  /** Longest datagram that can be received; allocated for each: 4 KB is enough for commands, 64 KB for dumps. */
  readonly messageBytes: number;
  readonly open: OpenRawSocket;
  readonly counters: NetlinkCounters;
  /** Names the number of a refusal; ipset has numbers of its own. */
  readonly nameOf?: (errno: number) => Errno;
  /** Time without an answer after which the socket is closed. */
  readonly timeoutMs?: number;
  /** Receives every datagram before it is sent, as a view: for the bench. */
  readonly onSend?: (bytes: Uint8Array, protocol: number) => void;
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

const TIMEOUT_MS = 15_000;
/** A dump that a concurrent change interrupts is read again. */
const DUMP_ATTEMPTS = 10;
const MAX_SEQUENCE = 0xffff_0000;

const ACCEPTED: NetlinkAnswer = { ok: true, replies: [] };

/** The request or batch that is in progress. */
interface Exchange {
  readonly operation: string;
  readonly first: number;
  readonly last: number;
  /** Handles one message of the answer; true if it was the last. */
  readonly take: (message: Message) => boolean;
  /** Ends the exchange: undefined if it was answered, else the error with which it rejects. */
  readonly settle: (failure: unknown) => void;
}

/**
 * Sends requests over one netlink socket, one exchange at a time, in the order of the calls.
 *
 * - closed: there is no raw socket. The next exchange opens one.
 * - idle: the socket is open and no exchange is in progress; a message that arrives answers nothing and is dropped.
 * - busy: a batch or a dump was sent, and its last answer or its NLMSG_DONE has not arrived.
 *
 * A timeout, an error of the socket or an unreadable datagram closes the socket: the exchange in progress rejects with
 * a NetlinkError, because its effect is unknown. Sequence numbers assign answers to requests; a late answer to an
 * abandoned exchange arrives at a closed socket, or its number is out of range.
 */
export class NetlinkSocket {
  readonly #options: NetlinkSocketOptions;
  readonly #nameOf: (errno: number) => Errno;
  readonly #writer = new AttributeWriter();
  #raw: RawSocket | undefined;
  #exchange: Exchange | undefined;
  #timer: NodeJS.Timeout | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #sequence = 0;

  constructor(options: NetlinkSocketOptions) {
    this.#options = options;
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

  /** Closes the socket; the exchange in progress rejects. The next call opens the socket again. */
  close(): void {
    this.#fail("ECANCELED", "the socket was closed");
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
    const raw = this.#opened(operation);
    const first = this.#nextSequence();
    const start = answers.length;
    const end = Math.min(items.length, start + (sending.batchMessages ?? BATCH_MESSAGES));
    const room = roomOf(raw.receiveBufferBytes);
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
    this.#sequence += count - 1;
    await this.#send(raw, operation, first, count, (message) => {
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
    this.#options.counters.countError(name);
    return { ok: false, errno: name, number: errno, text, request };
  }

  /** Returns undefined if the dump was interrupted. */
  async #dumpOnce<Item>(
    operation: string,
    encode: (writer: AttributeWriter) => void,
    decode: Decode<Item>,
  ): Promise<readonly Item[] | undefined> {
    const raw = this.#opened(operation);
    const items: Item[] = [];
    let unreadable = 0;
    let interrupted = false;
    let refusal: NetlinkError | undefined;
    const first = this.#nextSequence();
    this.#writer.truncate(0);
    encode(this.#writer);
    setSequence(this.#writer, 0, first);
    await this.#send(raw, operation, first, 1, (message) => {
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
    this.#options.counters.countError(refusal.code);
    throw refusal;
  }

  #nextSequence(): number {
    if (this.#sequence > MAX_SEQUENCE) this.#sequence = 0;
    this.#sequence += 1;
    return this.#sequence;
  }

  #opened(operation: string): RawSocket {
    if (this.#raw !== undefined) return this.#raw;
    const { protocol, messageBytes, open } = this.#options;
    try {
      const raw: RawSocket = open(
        { protocol, messageBytes },
        {
          message: (bytes, truncatedBytes) => this.#receive(bytes, truncatedBytes),
          error: (error) => this.#fail(codeOf(error), error.message, error),
        },
      );
      this.#raw = raw;
      return raw;
    } catch (cause) {
      this.#options.counters.countError(codeOf(cause));
      throw new NetlinkError(operation, codeOf(cause), `no netlink socket of protocol ${protocol}`, { cause });
    }
  }

  /** Sends the content of the writer and waits until `take` has handled the last answer. */
  #send(
    raw: RawSocket,
    operation: string,
    first: number,
    count: number,
    take: (message: Message) => boolean,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      // Resumes in the check phase: never within a callback of the addon, and after a turn of the event loop.
      const settle = (failure: unknown) => setImmediate(() => (failure === undefined ? resolve() : reject(failure)));
      const exchange: Exchange = { operation, first, last: first + count - 1, take, settle };
      this.#exchange = exchange;
      const bytes = this.#writer.written();
      this.#options.counters.sends += 1;
      this.#options.counters.messages += count;
      this.#options.onSend?.(bytes, this.#options.protocol);
      try {
        raw.send(bytes);
      } catch (cause) {
        this.#fail(codeOf(cause), "sending failed", cause);
      }
      // The kernel does its work within send, sometimes for seconds, and has answered by now: usually no timer is
      // needed.
      setImmediate(() => {
        if (this.#exchange === exchange) this.#startTimer();
      });
    });
  }

  #startTimer(): void {
    this.#timer = setTimeout(() => {
      const given = this.#exchange;
      // The socket is read once more: if this process was stopped for long, the answer waits there unread.
      setImmediate(() => {
        if (given !== undefined && this.#exchange === given) this.#fail("ETIMEDOUT", "the kernel did not answer");
      });
    }, this.#options.timeoutMs ?? TIMEOUT_MS);
  }

  /**
   * The addon calls this, so it must not throw. No datagram makes parsing throw, whatever its content: an exception is
   * a bug, and the exchange rejects with it.
   */
  #receive(datagram: Uint8Array, truncatedBytes: number): void {
    try {
      const { messages, whole } = readMessages(datagram);
      // A refusal that contains a long request has its important part first, so it may be cut off.
      const cutRefusal = truncatedBytes > 0 && messages.length === 1 && messages[0]?.type === NLMSG_ERROR;
      if (whole || cutRefusal) for (const message of messages) this.#take(message);
      else this.#fail("EBADMSG", "a datagram ends within a message");
    } catch (bug) {
      this.#giveUp(() => bug);
    }
  }

  #take(message: Message): void {
    const exchange = this.#exchange;
    if (exchange === undefined || message.type === NLMSG_NOOP) return;
    if (message.sequence < exchange.first || message.sequence > exchange.last) return;
    this.#timer?.refresh();
    if (exchange.take(message)) this.#settle(undefined);
  }

  #fail(code: Errno, text: string, cause?: unknown): void {
    this.#giveUp((operation) => {
      this.#options.counters.countError(code);
      return new NetlinkError(operation, code, text, { cause });
    });
  }

  /** Closes the socket; the exchange in progress rejects with the failure. */
  #giveUp(failureOf: (operation: string) => unknown): void {
    this.#raw?.close();
    this.#raw = undefined;
    if (this.#exchange !== undefined) this.#settle(failureOf(this.#exchange.operation));
  }

  #settle(failure: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    exchange?.settle(failure);
  }
}

function repliesOf(answer: NetlinkAnswer | undefined): readonly Message[] {
  return answer?.ok === true ? answer.replies : [];
}

function codeOf(error: unknown): Errno {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return errnoNamed(error.code);
  return "EIO";
}
