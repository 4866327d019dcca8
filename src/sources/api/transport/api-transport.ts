import type { Clock } from "../../../model/clock.ts";
import type { Logger } from "../../../model/logger.ts";
import type { Credentials } from "../access/kubeconfig.ts";
import { abortable } from "./abortable.ts";
import type { Connection } from "./connection.ts";
import { dial } from "./dial.ts";
import { pump } from "./pump.ts";
import { reasonOf } from "./reason.ts";
import { type ApiRequest, type ApiResponse, TransportError, type WritingTransport } from "./transport.ts";

/** How often certificates on disk are compared with those in use. */
const RECHECK_MS = 60_000;
/** Without the last, whoever stands between may compress an answer (RFC 9110, 12.5.3). */
const HEADERS = { "user-agent": "kube-ipvs", accept: "application/json", "accept-encoding": "identity" };
/** So many requests in a row without an answer, or with one that says that the server is in trouble (5xx), and another server is used. */
const FAILED_REQUESTS = 3;
/** Connections tried in a row for one request that a server would not look at. */
const ATTEMPTS = 3;

/** Where the servers are and how to be let in. */
export interface ServerAccess {
  readonly servers: readonly URL[];
  /** Current as of now. Rejects with a CredentialsError, also when the signal is aborted before there are any. */
  credentials(signal: AbortSignal): Promise<Credentials>;
  /** The server did not accept these credentials: get them anew, unless they are no longer the current ones. */
  renew(refused: Credentials): Promise<void>;
}

export interface TransportParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** A connection in use, and where it leads. */
interface Link {
  readonly connection: Connection;
  readonly server: URL;
}

/**
 * Requests over one connection, shared by all: the first server that can be reached, and the same for as long as it
 * lasts and is not in trouble. New certificates mean a new connection, to which open watches are moved by ending them.
 */
export class ApiTransport implements WritingTransport {
  readonly #config: ServerAccess;
  readonly #parts: TransportParts;
  /** Which server is used, or tried next. */
  #server = 0;
  #failedRequests = 0;
  #link: Link | undefined;
  /** What the link was opened with. */
  #material = "";
  #opening: Promise<Link> | undefined;
  /** Every connection that has sockets, also those that take no more requests. */
  readonly #connections = new Set<Connection>();
  #lastServer: URL | undefined;

  constructor(config: ServerAccess, parts: TransportParts) {
    this.#config = config;
    this.#parts = parts;
    parts.signal.addEventListener("abort", () => {
      this.#link = undefined;
      for (const connection of this.#connections) connection.close(new TransportError("lost", "stopped"));
    });
  }

  /** Sees to it that certificates which rotate are used, until the signal is aborted. */
  async run(): Promise<void> {
    const { clock, signal, logger } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(RECHECK_MS, signal);
      if (signal.aborted || this.#connections.size === 0) continue;
      try {
        this.#dropOutdated(await this.#config.credentials(signal));
      } catch (err) {
        if (!signal.aborted) logger.warn({ err }, "credentials cannot be read, the old ones stay in use");
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
    // Read to its end, the refusal no longer takes up its stream or socket.
    await pump(response.body, signal, () => undefined);
    return await this.#sendWith(second, request, signal);
  }

  async #sendWith(credentials: Credentials, request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    this.#dropOutdated(credentials);
    for (let attempt = 1; ; attempt++) {
      const link = await abortable(this.#connect(credentials), signal);
      try {
        return await this.#sendOver(link, credentials, request, signal);
      } catch (error) {
        if (!isUnprocessed(error) || attempt === ATTEMPTS) throw error;
      }
    }
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
      // A server that is overloaded (429) is not left: the others have its clients coming, too.
      this.#note(connection, answer.status >= 500);
      return { ...answer, leaveServer: (why) => this.#leave(connection, why) };
    } catch (error) {
      if (isUnprocessed(error)) connection.retire();
      else this.#note(connection, true);
      throw error;
    }
  }

  /** How a request ended. One that its owner gave up counts as failed: it was not answered in time. */
  #note(connection: Connection, failed: boolean): void {
    if (connection !== this.#link?.connection) return;
    this.#failedRequests = failed ? this.#failedRequests + 1 : 0;
    if (this.#failedRequests < FAILED_REQUESTS || this.#config.servers.length === 1) return;
    this.#leave(connection, "the server is in trouble");
  }

  #leave(connection: Connection, why: string): void {
    if (connection !== this.#link?.connection) return;
    this.#failedRequests = 0;
    this.#server = (this.#server + 1) % this.#config.servers.length;
    this.#drop(why);
  }

  #connect(credentials: Credentials): Promise<Link> {
    if (this.#link?.connection.usable) return Promise.resolve(this.#link);
    this.#opening ??= this.#open(credentials).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Tries every server once, beginning with the one that answered last. */
  async #open(credentials: Credentials): Promise<Link> {
    const { servers } = this.#config;
    const failures: unknown[] = [];
    for (const _ of servers) {
      const server = servers[this.#server] ?? new URL("https://none.invalid");
      try {
        const connection = await dial(server, credentials.tls, this.#parts.clock, this.#parts.signal);
        this.#connections.add(connection);
        void connection.closed.then(() => this.#connections.delete(connection));
        this.#material = JSON.stringify(credentials.tls);
        this.#link = { connection, server };
        this.#logConnected(server);
        return this.#link;
      } catch (error) {
        failures.push(error);
        this.#server = (this.#server + 1) % servers.length;
      }
    }
    throw new TransportError("lost", failures.map(reasonOf).join("; "), { cause: failures[0] });
  }

  /** Which server is used is news; that one is connected to again is not. */
  #logConnected(server: URL): void {
    const { logger } = this.#parts;
    const fields = { server: server.origin };
    if (server === this.#lastServer) logger.debug(fields, "connected to API server again");
    else logger.info(fields, "connected to API server");
    this.#lastServer = server;
  }

  #dropOutdated(credentials: Credentials): void {
    if (this.#connections.size === 0 || this.#material === JSON.stringify(credentials.tls)) return;
    this.#drop("certificates have changed");
  }

  /** Ends the link and all that went before it. What is open there is opened again by its owner, over the next link. */
  #drop(why: string): void {
    this.#link = undefined;
    for (const connection of this.#connections) connection.close(new TransportError("moved", why));
  }
}

function isUnprocessed(error: unknown): boolean {
  return error instanceof TransportError && error.kind === "unprocessed";
}
