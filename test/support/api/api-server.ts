import { readFileSync } from "node:fs";
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse, type Http2Session } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { ApiModel, Reply } from "./api-model.ts";

/** What answers the requests: the model, or another that tells more than fits in memory. */
export type RequestHandler = Pick<ApiModel, "handle">;

/** Valid for a hundred years and worth nothing: node cannot make certificates. */
export function testTls(name: "a" | "b"): { readonly cert: string; readonly key: string } {
  const read = (kind: string) =>
    readFileSync(new URL(`../../fixtures/apiserver/tls/${name}.${kind}`, import.meta.url), "utf8");
  return { cert: read("crt"), key: read("key") };
}

export interface ApiServerOptions {
  readonly certificate?: "a" | "b";
  /** Clients must show a certificate, and it must be this one. */
  readonly clientCertificate?: "a" | "b";
  /** Whether HTTP/2 is offered, by default yes; "plain" is HTTP/1.1 without TLS. */
  readonly protocol?: "h2" | "http/1.1" | "plain";
  readonly port?: number;
  /** By default 127.0.0.1. */
  readonly host?: string;
}

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

type Listener =
  | ReturnType<typeof createSecureServer>
  | ReturnType<typeof createPlainServer>
  | ReturnType<typeof createHttpsServer>;

/** The model behind a real socket: TLS with h2 and http/1.1 by ALPN, as kube-apiserver serves. */
export class ApiServer {
  readonly #handler: RequestHandler;
  readonly #server: Listener;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<Http2Session>();
  readonly #scheme: string;
  readonly #host: string;
  #refuseStreams = 0;
  /** Connections accepted so far. */
  connections = 0;

  private constructor(handler: RequestHandler, options: ApiServerOptions) {
    this.#handler = handler;
    this.#host = options.host ?? "127.0.0.1";
    this.#scheme = options.protocol === "plain" ? "http" : "https";
    this.#server = options.protocol === "plain" ? createPlainServer() : secureServer(options);
    this.#server.on("request", (request: Request, response: Response) => this.#serve(request, response));
    this.#server.on("connection", (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("session", (session: Http2Session) => {
      this.#sessions.add(session);
      session.on("error", () => {});
      session.on("close", () => this.#sessions.delete(session));
    });
    this.#server.on("tlsClientError", () => {});
  }

  static async start(handler: RequestHandler, options: ApiServerOptions = {}): Promise<ApiServer> {
    const server = new ApiServer(handler, options);
    await new Promise<void>((resolve) => server.#server.listen(options.port ?? 0, server.#host, resolve));
    return server;
  }

  get port(): number {
    // A TCP server that listens has an address of this form.
    return (this.#server.address() as AddressInfo).port;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  get url(): string {
    return `${this.#scheme}://${this.#host}:${this.port}`;
  }

  /** Cuts all connections with a reset. */
  resetConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Cuts all connections in the middle with a FIN, as a killed process does. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Says that no more requests are welcome on the connections there are; open watches go on. */
  goAway(): void {
    for (const session of this.#sessions) session.goaway(0);
  }

  /** So many requests are refused without being looked at. */
  refuseStreams(count: number): void {
    this.#refuseStreams = count;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.dropConnections();
    await closed;
  }

  #serve(request: Request, response: Response): void {
    if (this.#refuseStreams > 0 && "stream" in response) {
      this.#refuseStreams--;
      response.stream.close(7);
      return;
    }
    const url = new URL(request.url ?? "/", this.url);
    const { authorization = "", "accept-encoding": encoding = "", "content-type": contentType = "" } = request.headers;
    const { pathname: path, searchParams: query } = url;
    const told = { authorization, acceptEncoding: String(encoding), contentType };
    const asked = { method: request.method ?? "GET", path, query, ...told };
    const reply: Reply = {
      head: (status, headers) => writeHead(response, status, headers),
      write: (bytes) => void ("stream" in response ? response.write(bytes) : response.write(bytes)),
      drained: () => drained("stream" in response ? response.stream : response),
      end: () => void response.end(),
      reset: () => ("stream" in response ? response.stream.close(8) : response.destroy()),
      onClose: (listener) => void response.on("close", listener),
    };
    if (asked.method === "GET") this.#handler.handle({ ...asked, body: "" }, reply);
    else
      text(request).then(
        (body) => this.#handler.handle({ ...asked, body }, reply),
        // Cut off before its end: there is nobody to answer.
        () => {},
      );
  }
}

/** Sends the headers at once, before there is a body. */
function writeHead(response: Response, status: number, headers: Readonly<Record<string, string>>): void {
  if ("stream" in response) {
    response.writeHead(status, headers);
    return;
  }
  response.writeHead(status, headers);
  response.flushHeaders();
}

/** Resolves when what was written has been handed to the network, or never will be. */
function drained(stream: Writable): Promise<void> {
  if (!stream.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      stream.off("drain", end).off("close", end);
      resolve();
    };
    stream.on("drain", end).on("close", end);
  });
}

function secureServer(options: ApiServerOptions): Listener {
  const client = options.clientCertificate === undefined ? {} : { ca: testTls(options.clientCertificate).cert };
  const tls = {
    ...testTls(options.certificate ?? "a"),
    ...client,
    requestCert: options.clientCertificate !== undefined,
    rejectUnauthorized: options.clientCertificate !== undefined,
  };
  if (options.protocol === "http/1.1") return createHttpsServer(tls);
  return createSecureServer({
    ...tls,
    allowHTTP1: true,
    // Whole lists wait here to be sent, and by default a session with more than 10 MB takes no more requests.
    maxSessionMemory: 1000,
    settings: { initialWindowSize: 262_144, maxFrameSize: 262_144, maxConcurrentStreams: 100 },
  });
}
