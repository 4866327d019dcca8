import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { finished } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../../model/time/clock.ts";
import { LimitedWait } from "../../../model/time/limited-wait.ts";
import { type ConnectionResponse, type Headers, type HttpConnection, readHeaders } from "./connection.ts";
import { type ApiRequest, TransportError } from "./transport.ts";

/** The idle time after which a PING is sent, as in client-go. */
const PING_AFTER_MS = 30_000;
/** The time limit for the response to a PING, as in client-go. */
const PING_ANSWER_MS = 15_000;
/**
 * The flow-control window. If it is full, the server waits for this client, and ends a watch whose client is 100 ms late;
 * the window holds some 50 events. It also limits the data in one turn of the event loop to 5 ms of CPU, where libuv alone
 * would read up to 2 MB.
 */
const WINDOW_BYTES = 512 * 1024;

/**
 * A connection over HTTP/2, with one session for all requests. After a GOAWAY the session accepts no more requests, and
 * closes when the open requests have ended.
 */
export class Http2Connection implements HttpConnection {
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  /** The time of the last data or response. */
  #receivedAtMs: number;
  #closedBecause: TransportError | undefined;

  /** The socket is connected, and HTTP/2 is negotiated on it. */
  constructor(origin: string, socket: TLSSocket, clock: Clock) {
    this.#clock = clock;
    this.#receivedAtMs = clock.now();
    this.#session = connect(origin, {
      createConnection: () => socket,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    this.#session.once("connect", () => this.#session.setLocalWindowSize(WINDOW_BYTES));
    // Each stream gets the error too. Without a listener here, the error would end the process.
    this.#session.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.#session.once("close", () => {
        this.#ended.abort();
        resolve();
      });
    });
    void this.#pingWhenIdle();
  }

  get usable(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  request({ method, path, body }: ApiRequest, headers: Headers, signal: AbortSignal): Promise<ConnectionResponse> {
    if (!this.usable) return Promise.reject(new TransportError("unprocessed", "the session is closing"));
    return new Promise((resolve, reject) => {
      const pseudo = { ":method": method, ":path": path };
      const stream = this.#session.request({ ...pseudo, ...headers }, { endStream: body === "" });
      const abort = () => stream.close(constants.NGHTTP2_CANCEL);
      signal.addEventListener("abort", abort);
      stream.once("response", (answer) => {
        this.#receivedAtMs = this.#clock.now();
        resolve({
          status: Number(answer[":status"]),
          ...readHeaders(answer),
          body: { read: (onChunk) => this.#read(stream, onChunk) },
        });
      });
      // Without a listener, an error after the headers would end the process. The body rejects with the error.
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
        this.#receivedAtMs = this.#clock.now();
        onChunk(chunk);
      });
      finished(stream, { writable: false }, (error) => {
        // An interrupted stream may end like a complete one. Only its code or a destroyed session shows the difference.
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

  async #pingWhenIdle(): Promise<void> {
    while (!this.#ended.signal.aborted && !this.#session.destroyed) {
      const idleMs = this.#clock.now() - this.#receivedAtMs;
      if (idleMs < PING_AFTER_MS) await this.#clock.sleep(PING_AFTER_MS - idleMs, this.#ended.signal);
      else if (await this.#ping()) this.#receivedAtMs = this.#clock.now();
      else this.close(new TransportError("lost", "no response to an HTTP/2 PING"));
    }
  }

  /** Sends a PING. Returns whether the response or any other data arrived in time. */
  async #ping(): Promise<boolean> {
    const sentAtMs = this.#clock.now();
    const attempt = new LimitedWait(this.#ended.signal);
    let answered = false;
    this.#session.ping((error) => {
      answered = error === null;
      attempt.end();
    });
    await attempt.atMost(PING_ANSWER_MS, this.#clock);
    return answered || this.#receivedAtMs > sentAtMs;
  }
}
