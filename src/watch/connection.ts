import type { TlsMaterial } from "./kubeconfig.ts";
import type { ApiRequest, ApiResponse, TransportError } from "./transport.ts";

export type Headers = Readonly<Record<string, string>>;

/** A way to one API server, with one set of certificates. */
export interface Connection {
  /** Whether another request may go this way. */
  readonly usable: boolean;
  /** As `WritingTransport.send`. */
  request(request: ApiRequest, headers: Headers, signal: AbortSignal): Promise<ApiResponse>;
  /** Breaks off all that is open; it ends with `why`. */
  close(why: TransportError): void;
}

/** The options of node:tls for a host. An address has no server name to ask for, and is checked all the same. */
export function tlsOptions(host: string, tls: TlsMaterial): object {
  const servername = tls.serverName === "" ? host : tls.serverName;
  return {
    ...(tls.serverName === "" && isAddress(host) ? {} : { servername }),
    ...(tls.ca === "" ? {} : { ca: tls.ca }),
    ...(tls.cert === "" ? {} : { cert: tls.cert, key: tls.key }),
    rejectUnauthorized: tls.verify,
  };
}

/** The host of a URL as node:tls takes it: IPv6 without brackets. */
export function hostOf(server: URL): string {
  return server.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** The Retry-After header in ms; the form that is a date counts as absent. */
export function retryAfterMs(header: string | undefined): number {
  return header !== undefined && /^\d{1,9}$/.test(header) ? Number(header) * 1000 : 0;
}

function isAddress(host: string): boolean {
  return host.includes(":") || /^[\d.]+$/.test(host);
}
