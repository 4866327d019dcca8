/** An answer whose body is still arriving. */
export interface ApiResponse {
  readonly status: number;
  /** Of the Retry-After header, in ms, at most a minute; 0 without one. */
  readonly retryAfterMs: number;
  /** "" when the server does not say. */
  readonly contentType: string;
  /** "" for none, as was asked for. */
  readonly contentEncoding: string;
  readonly body: Body;
  /**
   * The server that gave this answer cannot be used for now: all requests go to the next server over a new connection, and open
   * ones end as `moved`. With one server it is the new connection alone, which behind a load balancer may lead elsewhere. Does
   * nothing when that server has been left already.
   */
  leaveServer(why: string): void;
}

/** The bytes of an answer while they arrive. */
export interface Body {
  /**
   * Hands on every piece in the turn in which it arrives: what nobody waits for stays with the kernel and the server,
   * instead of in our memory. `onChunk` must not throw. To be called once.
   *
   * Resolves when the server said that the body is complete, else rejects: a body cut short is never a shorter body.
   */
  read(onChunk: (chunk: Uint8Array) => void): Promise<void>;
}

/** A request, by its path with the query. A GET has neither content type nor body: "". */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH";
  readonly path: string;
  readonly contentType: string;
  readonly body: string;
}

/** How a reflector asks the API server. */
export interface Transport {
  /**
   * GET of a path with its query; resolves with the headers of the answer, of whatever status. Aborting the signal ends
   * request and body. Rejects with a TransportError, or with what the signal was aborted with.
   */
  get(path: string, signal: AbortSignal): Promise<ApiResponse>;
}

/** How something is written to the API server; apart from that as `Transport.get`. */
export interface WritingTransport extends Transport {
  send(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse>;
}

/**
 * Why there is no answer, or no more of it.
 * - `lost`: no connection, no answer, or one cut short.
 * - `moved`: closed by us, to go on over a connection with newer credentials or to another server.
 * - `unprocessed`: the server did not look at the request; it can be made again at once, elsewhere.
 */
export type TransportErrorKind = "lost" | "moved" | "unprocessed";

/** There are no credentials to make a request with. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

/** A request or body that failed. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly kind: TransportErrorKind;

  constructor(kind: TransportErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
