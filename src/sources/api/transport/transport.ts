/** A response, of which the body is still arriving. */
export interface ApiResponse {
  readonly status: number;
  /** The value of the Retry-After header in ms, at most a minute; 0 without the header. */
  readonly retryAfterMs: number;
  /** "" if the header is absent. */
  readonly contentType: string;
  /** "" if the header is absent, as requested. */
  readonly contentEncoding: string;
  readonly body: Body;
  /**
   * Stops using the server of this response for now: all requests use a new connection to the next server, and open
   * requests end as `moved`. With one server only the connection changes, which may lead to another server behind a load
   * balancer. Has no effect if the server is no longer in use.
   */
  leaveServer(why: string): void;
}

/** The body of a response. */
export interface Body {
  /**
   * Passes on each chunk in the turn in which it arrives. Data that is not read yet stays in the buffers of the kernel and
   * the server, not in the memory of this process. `onChunk` must not throw. Call `read` once.
   *
   * Resolves when the server has completed the body. Rejects if the body is interrupted, also at a chunk border.
   */
  read(onChunk: (chunk: Uint8Array) => void): Promise<void>;
}

/** A request. `path` includes the query. `contentType` and `body` are "" for a GET. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH";
  readonly path: string;
  readonly contentType: string;
  readonly body: string;
}

/** Reads from the API server. */
export interface Transport {
  /**
   * Sends a GET request for a path with its query. Resolves with the response when its headers have arrived, for every
   * status. An abort of the signal ends request and body. Rejects with a TransportError, or with the reason of the abort.
   */
  get(path: string, signal: AbortSignal): Promise<ApiResponse>;
}

/** Reads from and writes to the API server. `send` has the contract of `get`. */
export interface WritingTransport extends Transport {
  send(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse>;
}

/**
 * The reason for which a response is missing or incomplete.
 * - `lost`: no connection, no response, or an incomplete response.
 * - `moved`: the transport closed the connection, to use newer credentials or another server.
 * - `unprocessed`: the server did not process the request. It can be sent again at once over another connection.
 */
export type TransportErrorKind = "lost" | "moved" | "unprocessed";

/** There are no credentials for a request. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

/**
 * A request or body that failed. `at` is the address of the server and the error of the system call, which any client may
 * see; "" if there was none.
 */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly kind: TransportErrorKind;
  readonly at: string;

  constructor(kind: TransportErrorKind, message: string, options?: ErrorOptions & { readonly at?: string }) {
    super(message, options);
    this.kind = kind;
    this.at = options?.at ?? "";
  }
}
