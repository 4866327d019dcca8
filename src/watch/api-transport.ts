import type { Logger } from "../log.ts";
import type { Clock } from "../model/clock.ts";
import type { Connection } from "./connection.ts";
import { dial } from "./dial.ts";
import type { Credentials } from "./kubeconfig.ts";
import { pump } from "./pump.ts";
import { type ApiRequest, type ApiResponse, TransportError, type WritingTransport } from "./transport.ts";

/** How often certificates on disk are compared with those in use. */
const RECHECK_MS = 60_000;
const USER_AGENT = "kube-ipvs";
/** So many answers in a row that a server is in trouble (5xx), and another is asked where there is one. */
const TROUBLED_ANSWERS = 3;
/** Connections tried in a row for one request that a server would not look at. */
const ATTEMPTS = 3;

/** Where the servers are and how to be let in. */
export interface ServerAccess {
  readonly servers: readonly URL[];
  /** Current as of now. */
  credentials(): Promise<Credentials>;
  /** The server did not accept the credentials: get them anew. */
  renew(): Promise<void>;
}

export interface TransportParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/**
 * Requests over one connection, shared by all: the first server that can be reached, and the same for as long as it
 * lasts and is not in trouble. New certificates mean a new connection, to which open watches are moved by ending them.
 */
export class ApiTransport implements WritingTransport {
  readonly #config: ServerAccess;
  readonly #parts: TransportParts;
  #server = 0;
  #troubledAnswers = 0;
  #connection: Connection | undefined;
  /** What the connection was opened with. */
  #material = "";
  #opening: Promise<Connection> | undefined;

  constructor(config: ServerAccess, parts: TransportParts) {
    this.#config = config;
    this.#parts = parts;
    parts.signal.addEventListener("abort", () => this.#close("lost", "stopped"));
  }

  /** Sees to it that certificates which rotate are used, until the signal is aborted. */
  async run(): Promise<void> {
    const { clock, signal, logger } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(RECHECK_MS, signal);
      if (signal.aborted || this.#connection === undefined) continue;
      try {
        this.#dropOutdated(await this.#config.credentials());
      } catch (err) {
        logger.warn({ err }, "credentials cannot be read, the old ones stay in use");
      }
    }
  }

  get(path: string, signal: AbortSignal): Promise<ApiResponse> {
    return this.send({ method: "GET", path, contentType: "", body: "" }, signal);
  }

  async send(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const first = await abortable(this.#config.credentials(), signal);
    const response = await this.#sendWith(first, request, signal);
    if (response.status !== 401) return response;
    await abortable(this.#config.renew(), signal);
    const second = await abortable(this.#config.credentials(), signal);
    if (JSON.stringify(first) === JSON.stringify(second)) return response;
    // Read to its end, the refusal no longer takes up its stream or socket.
    await pump(response.body, signal, () => undefined);
    return await this.#sendWith(second, request, signal);
  }

  async #sendWith(credentials: Credentials, request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    this.#dropOutdated(credentials);
    for (let attempt = 1; ; attempt++) {
      const connection = await abortable(this.#connect(credentials), signal);
      const server = this.#config.servers[this.#server];
      const secrets = server?.protocol === "http:" ? {} : credentials.headers;
      const prefix = server?.pathname.replace(/\/$/, "") ?? "";
      const content = request.contentType === "" ? {} : { "content-type": request.contentType };
      const headers = { "user-agent": USER_AGENT, accept: "application/json", ...content, ...secrets };
      try {
        const response = await connection.request({ ...request, path: `${prefix}${request.path}` }, headers, signal);
        this.#heed(connection, response.status);
        return response;
      } catch (error) {
        if (!isUnprocessed(error) || attempt === ATTEMPTS) throw error;
        if (this.#connection === connection) this.#connection = undefined;
      }
    }
  }

  /** A server that is overloaded (429) is not left: the others have its clients coming, too. */
  #heed(connection: Connection, status: number): void {
    if (connection !== this.#connection) return;
    this.#troubledAnswers = status >= 500 ? this.#troubledAnswers + 1 : 0;
    const { servers } = this.#config;
    if (this.#troubledAnswers < TROUBLED_ANSWERS || servers.length === 1) return;
    this.#troubledAnswers = 0;
    this.#server = (this.#server + 1) % servers.length;
    this.#close("moved", "the server is in trouble");
  }

  #connect(credentials: Credentials): Promise<Connection> {
    if (this.#connection?.usable) return Promise.resolve(this.#connection);
    this.#opening ??= this.#open(credentials).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Tries every server once, beginning with the one that answered last. */
  async #open(credentials: Credentials): Promise<Connection> {
    const { servers } = this.#config;
    const failures: unknown[] = [];
    for (const _ of servers) {
      const server = servers[this.#server] ?? new URL("https://none.invalid");
      try {
        const connection = await dial(server, credentials.tls, this.#parts.clock, this.#parts.signal);
        this.#connection = connection;
        this.#material = JSON.stringify(credentials.tls);
        this.#parts.logger.info({ server: server.origin }, "connected to API server");
        return connection;
      } catch (error) {
        failures.push(error);
        this.#server = (this.#server + 1) % servers.length;
      }
    }
    const reasons = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
    throw new TransportError("lost", reasons.join("; "), { cause: failures[0] });
  }

  #dropOutdated(credentials: Credentials): void {
    if (this.#connection === undefined || this.#material === JSON.stringify(credentials.tls)) return;
    this.#close("moved", "certificates have changed");
  }

  #close(kind: "lost" | "moved", message: string): void {
    this.#connection?.close(new TransportError(kind, message));
    this.#connection = undefined;
  }
}

function isUnprocessed(error: unknown): boolean {
  return error instanceof TransportError && error.kind === "unprocessed";
}

/** The promise, or what the signal is aborted with if that comes first. */
function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
