import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";
import { finished } from "node:stream";
import type { TlsMaterial } from "../access/kubeconfig.ts";
import {
  type ConnectionResponse,
  type Headers,
  type HttpConnection,
  hostOf,
  readHeaders,
  tlsOptions,
} from "./connection.ts";
import { reasonOf } from "./reason.ts";
import { type ApiRequest, TransportError } from "./transport.ts";

/** The idle time before the first TCP keep-alive probe. Ten probes follow, one each second (fixed by libuv). */
const KEEP_ALIVE_MS = 30_000;

/**
 * A connection over HTTP/1.1, for servers and proxies without HTTP/2, with one socket for each open request. The first
 * socket that fails retires the whole connection, as with HTTP/2, so that the next request looks for a working server.
 */
export class Http1Connection implements HttpConnection {
  readonly closed: Promise<void>;
  readonly #options: RequestOptions;
  readonly #open: typeof request;
  readonly #agent: PlainAgent;
  readonly #closing = new AbortController();
  readonly #resolveClosed: () => void;
  #requests = 0;
  #isRetired = false;

  constructor(server: URL, tls: TlsMaterial) {
    const isPlain = server.protocol === "http:";
    const keepAlive = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: 3 };
    const host = hostOf(server);
    // The TLS options belong to the agent: a checkServerIdentity option in a request prevents the reuse of sockets.
    this.#agent = isPlain ? new PlainAgent(keepAlive) : new Agent({ ...keepAlive, ...tlsOptions(host, tls) });
    this.#open = isPlain ? plainRequest : request;
    this.#options = { host, port: server.port || (isPlain ? 80 : 443), agent: this.#agent };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  get usable(): boolean {
    return !this.#isRetired;
  }

  request({ method, path, body }: ApiRequest, headers: Headers, signal: AbortSignal): Promise<ConnectionResponse> {
    if (!this.usable) return Promise.reject(new TransportError("unprocessed", "the connection is closing"));
    return new Promise((resolve, reject) => {
      const stop = AbortSignal.any([signal, this.#closing.signal]);
      const outgoing = this.#open({ ...this.#options, method, path, headers }, (incoming) => {
        resolve({
          status: incoming.statusCode ?? 0,
          ...readHeaders(incoming.headers),
          body: { read: (onChunk) => this.#read(incoming, stop, onChunk) },
        });
        // Without a listener, an error after the body is no longer read would end the process.
        incoming.on("error", () => {});
      });
      const abort = () =>
        outgoing.destroy(stop.reason instanceof Error ? stop.reason : new TransportError("lost", "aborted"));
      if (stop.aborted) abort();
      stop.addEventListener("abort", abort);
      outgoing.on("error", (error) => {
        if (!stop.aborted) this.retire();
        reject(this.#failure(error, isStale(outgoing, method, error) ? "unprocessed" : "lost"));
      });
      this.#requests++;
      outgoing.once("close", () => {
        this.#requests--;
        this.#closeIfIdle();
      });
      outgoing.end(body);
    });
  }

  retire(): void {
    this.#isRetired = true;
    this.#closeIfIdle();
  }

  close(why: TransportError): void {
    this.#isRetired = true;
    this.#closing.abort(why);
    this.#agent.destroy();
    this.#resolveClosed();
  }

  #closeIfIdle(): void {
    if (!this.#isRetired || this.#requests > 0) return;
    this.#agent.destroy();
    this.#resolveClosed();
  }

  #read(incoming: IncomingMessage, stop: AbortSignal, onChunk: (chunk: Uint8Array) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      incoming.on("data", onChunk);
      finished(incoming, (error) => {
        if (!error) return resolve();
        if (!stop.aborted) this.retire();
        reject(this.#failure(error, "lost"));
      });
    });
  }

  #failure(cause: unknown, kind: "lost" | "unprocessed"): TransportError {
    const why: unknown = this.#closing.signal.reason;
    if (why instanceof TransportError) return why;
    return new TransportError(kind, reasonOf(cause), { cause });
  }
}

/** Whether the server closed an idle socket just when this request reused it (see `reusedSocket` of node:http). */
function isStale(request: ClientRequest, method: string, error: Error): boolean {
  return request.reusedSocket && method === "GET" && "code" in error && error.code === "ECONNRESET";
}
