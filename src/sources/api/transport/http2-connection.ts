import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { finished } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../../model/clock.ts";
import { type Answer, type Connection, type Headers, readHeaders } from "./connection.ts";
import { type ApiRequest, TransportError } from "./transport.ts";

/** As client-go: after so long without a frame the server is asked for a sign of life, */
const PING_AFTER_MS = 30_000;
/** and given so long to answer. */
const PING_ANSWER_MS = 15_000;
/**
 * A full window makes the server wait for us, and it ends the watch of who is 100 ms late: this is some 50 events. It is also the
 * most that can come in one turn of the event loop: 5 ms of CPU, where libuv alone would read on to 2 MB.
 */
const WINDOW_BYTES = 512 * 1024;

/**
 * One HTTP/2 session, for all watches. After a GOAWAY it takes no more requests and lets those that are open go on; it
 * goes when the last has ended.
 */
export class Http2Connection implements Connection {
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  #heardAtMs: number;
  #closedBecause: TransportError | undefined;

  /** Over a connected socket on which HTTP/2 was agreed. */
  constructor(origin: string, socket: TLSSocket, clock: Clock) {
    this.#clock = clock;
    this.#heardAtMs = clock.now();
    this.#session = connect(origin, {
      createConnection: () => socket,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    this.#session.once("connect", () => this.#session.setLocalWindowSize(WINDOW_BYTES));
    // Every stream is told as well; a session without streams has nobody to tell.
    this.#session.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.#session.once("close", () => {
        this.#ended.abort();
        resolve();
      });
    });
    void this.#watchLife();
  }

  get usable(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  request({ method, path, body }: ApiRequest, headers: Headers, signal: AbortSignal): Promise<Answer> {
    if (!this.usable) return Promise.reject(new TransportError("unprocessed", "the session is closing"));
    return new Promise((resolve, reject) => {
      const pseudo = { ":method": method, ":path": path };
      const stream = this.#session.request({ ...pseudo, ...headers }, { endStream: body === "" });
      const abort = () => stream.close(constants.NGHTTP2_CANCEL);
      signal.addEventListener("abort", abort);
      stream.once("response", (answer) => {
        this.#heardAtMs = this.#clock.now();
        resolve({
          status: Number(answer[":status"]),
          ...readHeaders(answer),
          body: { read: (onChunk) => this.#read(stream, onChunk) },
        });
      });
      // Without a listener an error after the headers would end the process; the body tells it.
      stream.on("error", () => {});
      stream.once("close", () => {
        signal.removeEventListener("abort", abort);
        reject(signal.aborted ? signal.reason : this.#failure(stream));
      });
      if (signal.aborted) abort();
      else if (body !== "") stream.end(body);
    });
  }

  retire(): void {
    this.#session.close();
  }

  close(why: TransportError): void {
    this.#closedBecause ??= why;
    this.#ended.abort();
    this.#session.destroy(why);
  }

  #read(stream: ClientHttp2Stream, onChunk: (chunk: Uint8Array) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      stream.on("data", (chunk: Uint8Array) => {
        this.#heardAtMs = this.#clock.now();
        onChunk(chunk);
      });
      finished(stream, { writable: false }, (error) => {
        // A stream that was cut may end like one that is complete: only its code tells, or that its session is gone.
        const isCut = error || stream.rstCode !== constants.NGHTTP2_NO_ERROR || this.#session.destroyed;
        if (isCut) reject(this.#failure(stream, error ?? undefined));
        else resolve();
      });
    });
  }

  #failure(stream: ClientHttp2Stream, cause: unknown = undefined): TransportError {
    if (this.#closedBecause !== undefined) return this.#closedBecause;
    const unprocessed = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    const options = cause === undefined ? undefined : { cause };
    return new TransportError(
      unprocessed ? "unprocessed" : "lost",
      `the stream was reset, code ${stream.rstCode}`,
      options,
    );
  }

  async #watchLife(): Promise<void> {
    while (!this.#ended.signal.aborted && !this.#session.destroyed) {
      const idleMs = this.#clock.now() - this.#heardAtMs;
      if (idleMs < PING_AFTER_MS) await this.#clock.sleep(PING_AFTER_MS - idleMs, this.#ended.signal);
      else if (await this.#ping()) this.#heardAtMs = this.#clock.now();
      else this.close(new TransportError("lost", "the server does not answer a PING"));
    }
  }

  /** Whether the server answered in time, or anything else came meanwhile. */
  async #ping(): Promise<boolean> {
    const askedAtMs = this.#clock.now();
    const over = new AbortController();
    const end = () => over.abort();
    this.#ended.signal.addEventListener("abort", end, { signal: over.signal });
    let answered = false;
    this.#session.ping((error) => {
      answered = error === null;
      end();
    });
    await this.#clock.sleep(PING_ANSWER_MS, over.signal);
    end();
    return answered || this.#heardAtMs > askedAtMs;
  }
}
