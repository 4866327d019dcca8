import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";
import { finished } from "node:stream";
import { type Connection, type Headers, hostOf, retryAfterMs, tlsOptions } from "./connection.ts";
import type { TlsMaterial } from "./kubeconfig.ts";
import { type ApiRequest, type ApiResponse, TransportError } from "./transport.ts";

/** A dead peer is found by TCP: first probe after so long, then every second, ten of them (libuv's numbers). */
const KEEP_ALIVE_MS = 30_000;

/** HTTP/1.1 for servers, or proxies before them, that do not speak HTTP/2: one socket for each request that is open. */
export class Http1Connection implements Connection {
  readonly usable = true;
  readonly #options: RequestOptions;
  readonly #open: typeof request;
  readonly #agent: PlainAgent;
  readonly #closing = new AbortController();

  constructor(server: URL, tls: TlsMaterial) {
    const isPlain = server.protocol === "http:";
    const keepAlive = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: 3 };
    this.#agent = isPlain ? new PlainAgent(keepAlive) : new Agent(keepAlive);
    this.#open = isPlain ? plainRequest : request;
    const host = hostOf(server);
    const address = { host, port: server.port || (isPlain ? 80 : 443), agent: this.#agent };
    this.#options = isPlain ? address : { ...address, ...tlsOptions(host, tls) };
  }

  request({ method, path, body }: ApiRequest, headers: Headers, signal: AbortSignal): Promise<ApiResponse> {
    return new Promise((resolve, reject) => {
      const outgoing = this.#open({ ...this.#options, method, path, headers }, (incoming) => {
        resolve({
          status: incoming.statusCode ?? 0,
          retryAfterMs: retryAfterMs(incoming.headers["retry-after"]),
          body: { read: (onChunk) => this.#read(incoming, onChunk) },
        });
        // Without a listener an error that nobody reads any more would end the process.
        incoming.on("error", () => {});
      });
      const abort = (why: unknown) =>
        outgoing.destroy(why instanceof Error ? why : new TransportError("lost", "aborted"));
      const stop = AbortSignal.any([signal, this.#closing.signal]);
      if (stop.aborted) abort(stop.reason);
      stop.addEventListener("abort", () => abort(stop.reason));
      outgoing.on("error", (error) => reject(this.#failure(error)));
      outgoing.end(body);
    });
  }

  #read(incoming: IncomingMessage, onChunk: (chunk: Uint8Array) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      incoming.on("data", onChunk);
      finished(incoming, (error) => {
        if (error) reject(this.#failure(error));
        else resolve();
      });
    });
  }

  #failure(cause: unknown): TransportError {
    const why: unknown = this.#closing.signal.reason;
    if (why instanceof TransportError) return why;
    return new TransportError("lost", cause instanceof Error ? cause.message : String(cause), { cause });
  }

  close(why: TransportError): void {
    this.#closing.abort(why);
    this.#agent.destroy();
  }
}
