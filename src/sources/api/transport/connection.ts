import { isIP } from "node:net";
import { checkServerIdentity, type DetailedPeerCertificate, getCACertificates } from "node:tls";
import type { TlsMaterial } from "../access/kubeconfig.ts";
import { MAX_RETRY_AFTER_MS } from "./api-status.ts";
import type { ApiRequest, ApiResponse, TransportError } from "./transport.ts";

/** A name may have several values. */
export type Headers = Readonly<Record<string, string | string[]>>;

/** The answer of one server, before its transport adds the way to leave that server. */
export type Answer = Omit<ApiResponse, "leaveServer">;

/** A way to one API server, with one set of certificates. */
export interface Connection {
  /** Whether another request may go this way. */
  readonly usable: boolean;
  /** Resolves when no socket of it is left. */
  readonly closed: Promise<void>;
  /** As `WritingTransport.send`. */
  request(request: ApiRequest, headers: Headers, signal: AbortSignal): Promise<Answer>;
  /** Takes no more requests. Those that are open go on, and the connection closes with the last of them. */
  retire(): void;
  /** Breaks off all that is open; it ends with `why`. */
  close(why: TransportError): void;
}

/**
 * The options of node:tls for a host. The certificate is checked for the server name if there is one, else for the host. An
 * address is no name to send (RFC 6066, 3), and is checked all the same.
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
 * What this system trusts, as in Go, and not the list that Node brings. OpenSSL finds it, by SSL_CERT_FILE and SSL_CERT_DIR
 * too, and finds most of it twice: in a bundle and in a folder.
 */
function systemAuthorities(): string[] {
  return [...new Set(getCACertificates("system"))];
}

/** The host of a URL as node:tls takes it: IPv6 without brackets. */
export function hostOf(server: URL): string {
  return withoutBrackets(server.hostname);
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

/** The headers of an answer, as both versions of HTTP give them. */
type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What is read of the headers of an answer. */
export function readHeaders(headers: AnswerHeaders): Pick<Answer, "retryAfterMs" | "contentType" | "contentEncoding"> {
  const text = (name: string) => String(headers[name] ?? "");
  return {
    retryAfterMs: retryAfterMs(text("retry-after"), text("date")),
    contentType: text("content-type"),
    contentEncoding: text("content-encoding"),
  };
}

/**
 * The Retry-After header in ms, at most a minute; 0 without one. The form that is a date counts from the date of the answer,
 * so that the clocks of the two machines need not agree.
 */
export function retryAfterMs(header: string, answeredAt: string): number {
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.parse(answeredAt);
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
