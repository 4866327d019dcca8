import { Readable } from "node:stream";
import type { Clock } from "../../model/time/clock.ts";

/** Messages by name; an absent one is not sent. */
export type Messages = Readonly<Record<string, object | undefined>>;

/** Reads the messages for one client; `isFirst` is true for its first read. */
export type ReadMessages = (isFirst: boolean) => Promise<Messages>;

/** The clients at a time. Each costs a read per period, and browsers open one for each tab. */
export const MOST_STREAMS = 8;
/** The time between two reads for one client, at least. */
const PERIOD_MS = 2_000;
/** All clients together may use this share of the time: one part in so many. */
const SHARE = 20;
/** A server closes connections that are silent for 10 s. */
const PING_MS = 5_000;

/**
 * Server-sent events (WHATWG HTML, 9.2) for a limited number of clients. A message is sent if it differs from the one of the
 * same name before. Nothing is read for a client that has not taken what was sent, and one read runs at a time.
 */
export class EventStreams {
  readonly #clock: Clock;
  readonly #onEmpty: () => void;
  readonly #open = new Set<AbortController>();
  #lastRead: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** `onEmpty` is called when the last client has gone. */
  constructor(clock: Clock, onEmpty: () => void) {
    this.#clock = clock;
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The events for a new client; undefined if there are too many. The stream ends when the client has gone, or at `close`. */
  open(read: ReadMessages): Readable | undefined {
    if (this.#isClosed || this.#open.size >= MOST_STREAMS) return undefined;
    const end = new AbortController();
    this.#open.add(end);
    return new EventStream(this.#events(read, end.signal), () => this.#forget(end));
  }

  /** Ends all streams, and opens no more. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#open) end.abort();
  }

  #forget(end: AbortController): void {
    end.abort();
    if (this.#open.delete(end) && this.#open.size === 0) this.#onEmpty();
  }

  async *#events(read: ReadMessages, signal: AbortSignal): AsyncGenerator<string> {
    const sent = new Map<string, string>();
    // How long a browser waits until it connects again.
    yield "retry: 2000\n\n";
    while (!signal.aborted) {
      const startedAtMs = this.#clock.now();
      const messages = await this.#readAlone(() => read(sent.size === 0), signal);
      const costMs = this.#clock.now() - startedAtMs;
      yield changed(messages, sent);
      yield* this.#pause(Math.max(PERIOD_MS, costMs * SHARE * this.#open.size), signal);
    }
    yield "event: end\ndata: {}\n\n";
  }

  async #readAlone(read: () => Promise<Messages>, signal: AbortSignal): Promise<Messages> {
    const mine = this.#lastRead.then(() => (signal.aborted ? {} : read()));
    this.#lastRead = mine.catch(() => undefined);
    return await mine;
  }

  async *#pause(ms: number, signal: AbortSignal): AsyncGenerator<string> {
    for (let leftMs = ms; leftMs > 0 && !signal.aborted; leftMs -= PING_MS) {
      await this.#clock.sleep(Math.min(leftMs, PING_MS), signal);
      if (leftMs > PING_MS && !signal.aborted) yield COMMENT;
    }
  }
}

/** A stream of texts, each made when the one before was taken. `Readable.from` would close only after a text that is being made. */
class EventStream extends Readable {
  readonly #events: AsyncGenerator<string>;
  readonly #onClose: () => void;

  constructor(events: AsyncGenerator<string>, onClose: () => void) {
    super({ highWaterMark: 1 });
    this.#events = events;
    this.#onClose = onClose;
  }

  override _read(): void {
    this.#events.next().then(
      ({ value, done }) => this.push(done === true ? null : value),
      (error: Error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#onClose();
    done(error);
  }
}

const COMMENT = ":\n\n";

/** The events of the messages that differ from those sent before; a comment if there is none. */
function changed(messages: Messages, sent: Map<string, string>): string {
  let events = "";
  for (const [name, message] of Object.entries(messages)) {
    if (message === undefined) continue;
    const text = JSON.stringify(message);
    if (sent.get(name) === text) continue;
    sent.set(name, text);
    events += `event: ${name}\ndata: ${text}\n\n`;
  }
  return events === "" ? COMMENT : events;
}
