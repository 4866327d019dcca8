import type { Logger } from "../../../model/logger.ts";
import type { Clock } from "../../../model/time/clock.ts";
import type { Credentials } from "../access/kubeconfig.ts";
import { abortable } from "./abortable.ts";
import type { HttpConnection } from "./connection.ts";
import { dial } from "./dial.ts";
import { readBody } from "./read-body.ts";
import { reasonOf } from "./reason.ts";
import { NO_OBSERVER, NO_RESPONSE, type ObservedRequest, type RequestObserver } from "./request-observer.ts";
import { type ApiRequest, type ApiResponse, type Body, TransportError, type WritingTransport } from "./transport.ts";

/** The time between two checks for changed certificates on disk. */
const RECHECK_MS = 60_000;
/** The headers of every request. Without accept-encoding, a proxy may compress the response (RFC 9110, 12.5.3). */
const HEADERS = { "user-agent": "kube-ipvs", accept: "application/json", "accept-encoding": "identity" };
/** The number of requests in a row without a response, or with a status 5xx, after which another server is used. */
const FAILED_REQUESTS = 3;
/** The number of connections to try for a request that the server did not process. */
const ATTEMPTS = 3;

/** The servers and their credentials. */
export interface ServerAccess {
  readonly servers: readonly URL[];
  /** The current credentials. Rejects with a CredentialsError, also if the signal is aborted first. */
  credentials(signal: AbortSignal): Promise<Credentials>;
  /** Reads the credentials again, unless the refused ones are no longer current. */
  renew(refused: Credentials): Promise<void>;
}

export interface TransportDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Closes all connections. */
  readonly signal: AbortSignal;
  /** By default none. */
  readonly requests?: RequestObserver | undefined;
}

/** A connection in use and its server. */
interface Link {
  readonly connection: HttpConnection;
  readonly server: URL;
  /** Whether its first answer was logged. */
  isLogged: boolean;
}

/**
 * Sends all requests over one shared connection. It uses the first server that can be reached, and keeps it while the
 * connection lasts and requests succeed. New certificates need a new connection: open watches end as `moved`, and their
 * owners start them again over the new connection.
 */
export class ApiTransport implements WritingTransport {
  readonly #config: ServerAccess;
  readonly #dependencies: TransportDependencies;
  readonly #observer: RequestObserver;
  /** The index of the server that is used, or that is tried next. */
  #server = 0;
  #failedRequests = 0;
  #link: Link | undefined;
  /** The TLS material with which the link was opened. */
  #material = "";
  #opening: Promise<Link> | undefined;
  /** All connections with open sockets, also those that accept no more requests. */
  readonly #connections = new Set<HttpConnection>();
  #lastServer: URL | undefined;

  constructor(config: ServerAccess, dependencies: TransportDependencies) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#observer = dependencies.requests ?? NO_OBSERVER;
    this.#observer.serversAre(config.servers.map(({ host }) => host));
    dependencies.signal.addEventListener("abort", () => {
      this.#link = undefined;
      for (const connection of this.#connections) connection.close(new TransportError("lost", "stopped"));
    });
  }

  /** Checks for rotated certificates until the signal is aborted. */
  async run(): Promise<void> {
    const { clock, signal, logger } = this.#dependencies;
    while (!signal.aborted) {
      await clock.sleep(RECHECK_MS, signal);
      if (signal.aborted || this.#connections.size === 0) continue;
      try {
        this.#dropOutdated(await this.#config.credentials(signal));
      } catch (err) {
        if (!signal.aborted) logger.warn({ err }, "cannot read credentials; still using the last valid ones");
      }
    }
  }

  get(path: string, signal: AbortSignal): Promise<ApiResponse> {
    return this.send({ method: "GET", path, contentType: "", body: "" }, signal);
  }

  async send(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const first = await this.#config.credentials(signal);
    const response = await this.#sendWith(first, request, signal);
    if (response.status !== 401) return response;
    await abortable(this.#config.renew(first), signal);
    const second = await this.#config.credentials(signal);
    if (JSON.stringify(first) === JSON.stringify(second)) return response;
    // Reading the response to its end frees its stream or socket.
    await readBody(response.body, signal, () => undefined);
    this.#observer.requestRepeated({ method: request.method, host: this.#host }, "401");
    return await this.#sendWith(second, request, signal);
  }

  async #sendWith(credentials: Credentials, request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    this.#dropOutdated(credentials);
    for (let attempt = 1; ; attempt++) {
      const startedAtMs = this.#dependencies.clock.now();
      const observed = { method: request.method, host: this.#host };
      try {
        const link = await abortable(this.#connect(credentials), signal);
        observed.host = link.server.host;
        const response = await this.#sendOver(link, credentials, request, signal);
        this.#observeEnd(observed, String(response.status), request, startedAtMs);
        if (isWatch(request)) return response;
        return { ...response, body: counted(response.body, (bytes) => this.#observer.bodyEnded(observed, bytes)) };
      } catch (error) {
        this.#observeEnd(observed, NO_RESPONSE, request, startedAtMs);
        if (!isUnprocessed(error) || attempt === ATTEMPTS) throw error;
        this.#observer.requestRepeated(observed, NO_RESPONSE);
      }
    }
  }

  #observeEnd(observed: ObservedRequest, code: string, { body }: ApiRequest, startedAtMs: number): void {
    const durationMs = this.#dependencies.clock.now() - startedAtMs;
    this.#observer.requestEnded(observed, code, durationMs, Buffer.byteLength(body));
  }

  async #sendOver(
    link: Link,
    credentials: Credentials,
    request: ApiRequest,
    signal: AbortSignal,
  ): Promise<ApiResponse> {
    const { connection, server } = link;
    const secrets = server.protocol === "http:" ? {} : credentials.headers;
    const prefix = server.pathname.replace(/\/$/, "");
    const content = request.contentType === "" ? {} : { "content-type": request.contentType };
    const headers = { ...HEADERS, ...content, ...secrets };
    try {
      const answer = await connection.request({ ...request, path: `${prefix}${request.path}` }, headers, signal);
      if (answer.status < 500) this.#logConnected(link);
      // 429 does not cause failover: the other servers would get the clients of the overloaded server.
      this.#recordEnd(connection, answer.status >= 500);
      return { ...answer, leaveServer: (why) => this.#leave(connection, why) };
    } catch (error) {
      if (isUnprocessed(error)) connection.retire();
      else this.#recordEnd(connection, true);
      throw error;
    }
  }

  /** Counts failed requests. A request that its owner aborted counts as failed, because it had no response in time. */
  #recordEnd(connection: HttpConnection, failed: boolean): void {
    if (connection !== this.#link?.connection) return;
    this.#failedRequests = failed ? this.#failedRequests + 1 : 0;
    if (this.#failedRequests < FAILED_REQUESTS || this.#config.servers.length === 1) return;
    this.#leave(connection, "requests to the server fail");
  }

  #leave(connection: HttpConnection, why: string): void {
    if (connection !== this.#link?.connection) return;
    this.#failedRequests = 0;
    this.#server = (this.#server + 1) % this.#config.servers.length;
    this.#drop(why);
  }

  #connect(credentials: Credentials): Promise<Link> {
    const isUsable = this.#link?.connection.usable === true;
    this.#observer.connectionUsed(!isUsable);
    if (this.#link !== undefined && isUsable) return Promise.resolve(this.#link);
    this.#opening ??= this.#open(credentials).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Tries every server once, beginning with the last one in use. */
  async #open(credentials: Credentials): Promise<Link> {
    const { servers } = this.#config;
    const failures: unknown[] = [];
    for (const _ of servers) {
      const server = servers[this.#server] ?? new URL("https://none.invalid");
      try {
        const connection = await dial(server, credentials.tls, { ...this.#dependencies, observer: this.#observer });
        this.#add(connection);
        this.#material = JSON.stringify(credentials.tls);
        const link = { connection, server, isLogged: false };
        this.#link = link;
        return link;
      } catch (error) {
        failures.push(error);
        this.#server = (this.#server + 1) % servers.length;
      }
    }
    const at = failures.map((failure) => (failure instanceof TransportError ? failure.at : "")).join("; ");
    throw new TransportError("lost", failures.map(reasonOf).join("; "), { cause: failures[0], at });
  }

  #add(connection: HttpConnection): void {
    this.#connections.add(connection);
    this.#observer.connectionsAre(this.#connections.size);
    void connection.closed.then(() => {
      this.#connections.delete(connection);
      this.#observer.connectionsAre(this.#connections.size);
    });
  }

  /** The host of the server that is used, or that is tried next. */
  get #host(): string {
    return this.#config.servers[this.#server]?.host ?? "";
  }

  /**
   * Logs the first answer of a new server at info, and that over a new connection to the same server at debug. A server
   * that fails each request is none: while all fail, one after the other is tried.
   */
  #logConnected(link: Link): void {
    if (link.isLogged) return;
    link.isLogged = true;
    const { logger } = this.#dependencies;
    const fields = { server: link.server.origin };
    if (link.server === this.#lastServer) logger.debug(fields, "reconnected to API server");
    else logger.info(fields, "connected to API server");
    this.#lastServer = link.server;
  }

  #dropOutdated(credentials: Credentials): void {
    if (this.#connections.size === 0 || this.#material === JSON.stringify(credentials.tls)) return;
    this.#drop("certificates have changed");
  }

  /** Closes all connections. The owners of open requests start them again over a new connection. */
  #drop(why: string): void {
    this.#link = undefined;
    for (const connection of this.#connections) connection.close(new TransportError("moved", why));
  }
}

function isUnprocessed(error: unknown): boolean {
  return error instanceof TransportError && error.kind === "unprocessed";
}

function isWatch({ path }: ApiRequest): boolean {
  return path.includes("watch=true");
}

/** The body, whose bytes are counted until its end. */
function counted(body: Body, onEnd: (bytes: number) => void): Body {
  return {
    read(onChunk) {
      let bytes = 0;
      const read = body.read((chunk) => {
        bytes += chunk.length;
        onChunk(chunk);
      });
      return read.finally(() => onEnd(bytes));
    },
  };
}
