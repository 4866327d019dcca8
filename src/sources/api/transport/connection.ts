import { isIP } from "node:net";
import { checkServerIdentity, type DetailedPeerCertificate, getCACertificates } from "node:tls";
import type { TlsMaterial } from "../access/kubeconfig.ts";
import { MAX_RETRY_AFTER_MS } from "./api-status.ts";
import type { ApiRequest, ApiResponse, TransportError } from "./transport.ts";

/** Headers of a request. A name may have several values. */
export type Headers = Readonly<Record<string, string | string[]>>;

/** A response of one server, to which the transport adds `leaveServer`. */
export type ConnectionResponse = Omit<ApiResponse, "leaveServer">;

/** A connection to one API server with one set of certificates. */
export interface HttpConnection {
  /** Whether the connection accepts another request. */
  readonly usable: boolean;
  /** Resolves when all sockets of the connection are closed. */
  readonly closed: Promise<void>;
  /** Sends a request, with the contract of `WritingTransport.send`. */
  request(request: ApiRequest, headers: Headers, signal: AbortSignal): Promise<ConnectionResponse>;
  /** Accepts no more requests. Open requests continue, and the connection closes after the last one. */
  retire(): void;
  /** Closes the connection. Open requests fail with `why`. */
  close(why: TransportError): void;
}

/**
 * The options of node:tls for a host. The certificate must be valid for the server name, or for the host if there is no
 * server name. An IP address is checked too, but is not sent as SNI (RFC 6066, 3).
 */
export function tlsOptions(host: string, tls: TlsMaterial): object {
  const name = withoutBrackets(tls.serverName === "" ? host : tls.serverName);
  return {
    servername: isIP(name) === 0 ? name : "",
    checkServerIdentity: (_: string, certificate: DetailedPeerCertificate) => checkServerIdentity(name, certificate),
    ...(tls.verify && { ca: tls.ca === "" ? systemAuthorities() : tls.ca }),
    ...(tls.cert === "" ? {} : { cert: tls.cert, key: tls.key }),
    rejectUnauthorized: tls.verify,
  };
}

/**
 * The certificate authorities of the system, as in Go, instead of the list in Node.js. OpenSSL reads them, also from
 * SSL_CERT_FILE and SSL_CERT_DIR. Most authorities appear twice: in a bundle and in a folder.
 */
function systemAuthorities(): string[] {
  return [...new Set(getCACertificates("system"))];
}

/** The host of a URL in the form of node:tls: IPv6 without brackets. */
export function hostOf(server: URL): string {
  return withoutBrackets(server.hostname);
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

/** The headers of a response in the types of node:http and node:http2. */
type ResponseHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The fields of a response that are read from its headers. */
export function readHeaders(
  headers: ResponseHeaders,
): Pick<ConnectionResponse, "retryAfterMs" | "contentType" | "contentEncoding"> {
  const text = (name: string) => String(headers[name] ?? "");
  return {
    retryAfterMs: retryAfterMs(text("retry-after"), text("date")),
    contentType: text("content-type"),
    contentEncoding: text("content-encoding"),
  };
}

/**
 * The Retry-After header in ms, at most a minute; 0 without the header. A date counts from the Date header of the
 * response, so that a difference between the clocks of the two machines does not matter.
 */
export function retryAfterMs(header: string, answeredAt: string): number {
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.parse(answeredAt);
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
