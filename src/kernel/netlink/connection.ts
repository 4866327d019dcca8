import { type Errno, errnoNamed } from "../../model/kernel/errno.ts";
import type { NetlinkCounters } from "./counters.ts";
import { NetlinkError } from "./error.ts";
import { type Message, NLMSG_ERROR, NLMSG_NOOP, readMessages } from "./message.ts";
import type { OpenRawSocket, RawSocket } from "./raw-socket.ts";

export interface NetlinkConnectionOptions {
  readonly protocol: number;
  /** Longest datagram that can be received; allocated for each: 4 KB is enough for commands, 64 KB for dumps. */
  readonly messageBytes: number;
  readonly open: OpenRawSocket;
  readonly counters: NetlinkCounters;
  /** Time without an answer after which the socket is closed. */
  readonly timeoutMs?: number;
  /** Receives every datagram before it is sent, as a view: for the bench. */
  readonly onSend?: (bytes: Uint8Array, protocol: number) => void;
}

/** Messages that are sent as one datagram. */
export interface Datagram {
  /** Completes the text "Cannot …" if the transport fails. */
  readonly operation: string;
  readonly bytes: Uint8Array;
  /** Sequence number of the first message; each further message has the next number. */
  readonly first: number;
  /** Number of messages. */
  readonly count: number;
}

const TIMEOUT_MS = 15_000;
const MAX_SEQUENCE = 0xffff_0000;

/** The datagram that was sent and whose answer is not complete. */
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
 * The connection to the kernel over one netlink socket: sends a datagram and waits for its whole answer. Its caller
 * begins an exchange only after the previous one has ended.
 *
 * - closed: there is no raw socket. The next exchange opens one, unless the connection was ended by `close`.
 * - idle: the socket is open and no exchange is in progress; a message that arrives answers nothing and is dropped.
 * - busy: a datagram was sent, and its last answer or its NLMSG_DONE has not arrived.
 *
 * A timeout, an error of the socket or an unreadable datagram closes the socket: the exchange in progress rejects with
 * a NetlinkError, because its effect is unknown. Sequence numbers assign answers to requests; a late answer to an
 * abandoned exchange arrives at a closed socket, or its number is out of range.
 */
export class NetlinkConnection {
  readonly #options: NetlinkConnectionOptions;
  #raw: RawSocket | undefined;
  #exchange: Exchange | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sequence = 0;
  #isEnded = false;

  constructor(options: NetlinkConnectionOptions) {
    this.#options = options;
  }

  /** Returns the size of the receive buffer; opens the socket if it is closed, and throws a NetlinkError if it cannot. */
  receiveBufferBytes(operation: string): number {
    return this.#opened(operation).receiveBufferBytes;
  }

  /** Returns the sequence number for the first message of the next datagram. */
  nextSequence(): number {
    if (this.#sequence > MAX_SEQUENCE) this.#sequence = 0;
    this.#sequence += 1;
    return this.#sequence;
  }

  /**
   * Sends the datagram and passes the messages that answer it to `take`, which returns true for the last one. Resolves
   * after that message; rejects with a NetlinkError if the connection fails, and with an exception of `take`.
   */
  async exchange(datagram: Datagram, take: (message: Message) => boolean): Promise<void> {
    const { operation, bytes, first, count } = datagram;
    const raw = this.#opened(operation);
    this.#sequence += count - 1;
    await new Promise<void>((resolve, reject) => {
      // Resumes in the check phase: never within a callback of the addon, and after a turn of the event loop.
      const settle = (failure: unknown) => setImmediate(() => (failure === undefined ? resolve() : reject(failure)));
      const exchange: Exchange = { operation, first, last: first + count - 1, take, settle };
      this.#exchange = exchange;
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

  /** Closes the socket for good: the exchange in progress rejects, and so does any later one. */
  close(): void {
    this.#isEnded = true;
    this.#fail("ECANCELED", "the socket was closed");
  }

  #opened(operation: string): RawSocket {
    if (this.#raw !== undefined) return this.#raw;
    // An open socket would keep the process from ending.
    if (this.#isEnded) throw new NetlinkError(operation, "ECANCELED", "the socket was closed");
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

function codeOf(error: unknown): Errno {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return errnoNamed(error.code);
  return "EIO";
}
