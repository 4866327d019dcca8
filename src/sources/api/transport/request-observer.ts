/** A request to an API server. `host` is that of the URL, with the port unless it is the default of the scheme. */
export interface ObservedRequest {
  readonly method: string;
  readonly host: string;
}

/** What happens between this client and the API servers, for metrics. Each call returns at once. */
export interface RequestObserver {
  /** These are the hosts of all API servers. */
  serversAre(hosts: readonly string[]): void;
  /**
   * The head of the response has arrived, or the request has failed. `code` is the HTTP status, or "<error>" without a
   * response, as in client-go.
   */
  requestEnded(request: ObservedRequest, code: string, durationMs: number, sentBytes: number): void;
  /** The body of a response that is not a watch has ended. */
  bodyEnded(request: ObservedRequest, receivedBytes: number): void;
  /** The request is sent again, because of this `code`. */
  requestRepeated(request: ObservedRequest, code: string): void;
  /** A request uses the open connection, or opens one. */
  connectionUsed(isNew: boolean): void;
  /** So many connections are open. */
  connectionsAre(count: number): void;
  /** The name of a server was resolved, or could not be. */
  hostResolved(host: string, durationMs: number): void;
  /** The exec plugin of the kubeconfig has ended, with a result in the words of client-go. */
  pluginEnded(result: string, exitCode: number): void;
  /** The exec plugin has returned a new client certificate, valid between these Unix times. */
  pluginCertificateIs(validFromUnixMs: number, validUntilUnixMs: number): void;
}

/** The code of a request without a response, as in client-go. */
export const NO_RESPONSE = "<error>";

const IGNORE = (): void => {};

/** Observes nothing. */
export const NO_OBSERVER: RequestObserver = {
  serversAre: IGNORE,
  requestEnded: IGNORE,
  bodyEnded: IGNORE,
  requestRepeated: IGNORE,
  connectionUsed: IGNORE,
  connectionsAre: IGNORE,
  hostResolved: IGNORE,
  pluginEnded: IGNORE,
  pluginCertificateIs: IGNORE,
};
