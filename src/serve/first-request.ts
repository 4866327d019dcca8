import type { Server } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { ConnectionLimit } from "./connection-limit.ts";

/** A client that neither sends nor reads for so long is gone. */
const IDLE_MS = 10_000;
/** Of what follows the first head so much is read and thrown away: to close before it is read could cost the client its answer. */
const MAX_REST_BYTES = 1024 * 1024;

/** For an HTTP server behind `answerOnce`: how long the head of a request may take, however slowly it comes. */
export const REQUEST_TIMES = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 5_000 };

/**
 * Makes the server answer one request on each connection and then close it. Node's parser calls its server for all requests
 * of a chunk in one turn of the event loop, and nothing stops it: 64 KiB are some 2,000, and 6 MB of them on 100
 * connections kept the loop for 9 s. Whoever probes or scrapes needs no second one.
 */
export function answerOnce(server: Server, limit: ConnectionLimit): void {
  const serve = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    limit.admit(socket);
    // An HTTP server serves any Duplex (node:http, event "connection"); its types say less.
    const first = new FirstRequest(socket) as Duplex as Socket;
    for (const listener of serve) listener.call(server, first);
  });
  server.prependListener("request", (_request, response) => {
    response.shouldKeepAlive = false;
  });
}

/** A connection of which an HTTP server sees no more than the head of the first request. */
class FirstRequest extends Duplex {
  readonly #socket: Socket;
  /** Line ends at the end of what came so far, at most: 1 after "\n", 2 after the empty line that ends a head. */
  #lineEnds = 0;
  #restBytes = 0;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.setTimeout(IDLE_MS, () => this.destroy());
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("end", () => this.push(null));
    socket.on("error", () => this.destroy());
    socket.on("close", () => this.destroy());
  }

  /** What comes is never much: nothing is held back. */
  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    const end = this.#endOfHead(chunk);
    if (end > 0) this.push(chunk.subarray(0, end));
    this.#restBytes += chunk.length - end;
    if (this.#restBytes > MAX_REST_BYTES) this.destroy();
  }

  /** How much of the chunk belongs to the head of the first request, the empty line at its end included. */
  #endOfHead(chunk: Buffer): number {
    for (let index = 0; index < chunk.length; index++) {
      if (this.#lineEnds === 2) return index;
      const byte = chunk[index];
      if (byte === LF) this.#lineEnds++;
      else if (byte !== CR) this.#lineEnds = 0;
    }
    return chunk.length;
  }
}

const CR = 0x0d;
const LF = 0x0a;
