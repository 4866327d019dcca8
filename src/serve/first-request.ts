import type { Server } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { Server as TlsServer } from "node:tls";
import type { ConnectionLimit } from "./connection-limit.ts";

/** The time after which a connection without traffic is closed. */
const IDLE_MS = 10_000;
/**
 * The number of bytes after the first head that are read and discarded. If the connection closed before they are read,
 * the client could lose the response.
 */
const MAX_REST_BYTES = 1024 * 1024;

/** Options of an HTTP server behind `answerOnce`: they limit the time for the head of a request. */
export const REQUEST_TIMES = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 5_000 };

/**
 * Makes the server answer one request on each connection and then close the connection. Node's HTTP parser calls the
 * server for all requests of a chunk in one turn of the event loop, and no option limits this: 64 KiB hold some 2,000
 * requests, and 6 MB of requests on 100 connections blocked the event loop for 9 s. Probes and scrapes need one request.
 */
export function answerOnce(server: Server, limit: ConnectionLimit): void {
  // A TLS server emits "connection" before the handshake.
  const isSecure = server instanceof TlsServer;
  const ready = isSecure ? "secureConnection" : "connection";
  const serve = server.listeners(ready);
  server.removeAllListeners(ready);
  if (isSecure) server.prependListener("connection", (socket: Socket) => limit.admit(socket));
  server.on(ready, (socket: Socket) => {
    if (!isSecure) limit.admit(socket);
    // An HTTP server accepts any Duplex (node:http, event "connection"). The types only allow a Socket.
    const first = new FirstRequest(socket) as Duplex as Socket;
    for (const listener of serve) listener.call(server, first);
  });
  server.prependListener("request", (_request, response) => {
    response.shouldKeepAlive = false;
  });
}

/** A connection that passes only the head of the first request to the HTTP server. */
class FirstRequest extends Duplex {
  readonly #socket: Socket;
  /** The number of line ends at the end of the received bytes; 2 after the empty line that ends a head. */
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

  /** Does nothing. At most one head and MAX_REST_BYTES arrive, so that the socket needs no flow control. */
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

  /** The number of bytes of the chunk that belong to the first head, which includes the empty line at its end. */
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
