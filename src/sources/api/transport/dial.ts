import { connect as connectPlain, type Socket } from "node:net";
import { connect, TLSSocket } from "node:tls";
import type { Clock } from "../../../model/time/clock.ts";
import { LimitedWait } from "../../../model/time/limited-wait.ts";
import type { TlsMaterial } from "../access/kubeconfig.ts";
import { type HttpConnection, hostOf, tlsOptions } from "./connection.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Http2Connection } from "./http2-connection.ts";
import { reasonOf, systemErrorOf } from "./reason.ts";
import type { RequestObserver } from "./request-observer.ts";
import { TransportError } from "./transport.ts";

const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

export interface DialDependencies {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly observer: Pick<RequestObserver, "hostResolved">;
}

/**
 * Connects to a server and negotiates HTTP/2, or HTTP/1.1 if the server has no HTTP/2. For HTTP/1.1 this socket only shows
 * that the server can be reached, and each request opens its own socket. Rejects with a TransportError.
 */
export async function dial(server: URL, tls: TlsMaterial, dependencies: DialDependencies): Promise<HttpConnection> {
  const host = hostOf(server);
  const isPlain = server.protocol === "http:";
  const address = { host, port: Number(server.port || (isPlain ? 80 : 443)) };
  const socket = isPlain
    ? await connected(server, connectPlain(address), "connect", dependencies)
    : await connected(
        server,
        connect({ ...address, ALPNProtocols: ["h2", "http/1.1"], ...tlsOptions(host, tls) }),
        "secureConnect",
        dependencies,
      );
  if (socket instanceof TLSSocket && socket.alpnProtocol === "h2") {
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    return new Http2Connection(server.origin, socket, dependencies.clock);
  }
  socket.destroy();
  return new Http1Connection(server, tls);
}

/** Returns the socket when it emits `ready`. Destroys the socket and throws after an error, an abort or 10 s. */
async function connected(
  server: URL,
  socket: Socket,
  ready: "connect" | "secureConnect",
  { clock, signal, observer }: DialDependencies,
): Promise<Socket> {
  const startedAtMs = clock.now();
  // Not emitted for an address.
  socket.once("lookup", () => observer.hostResolved(server.hostname, clock.now() - startedAtMs));
  const attempt = new LimitedWait(signal);
  let failure: unknown = "no connection in time";
  let isReady = false;
  socket.once(ready, () => {
    isReady = true;
    attempt.end();
  });
  socket.on("error", (error) => {
    failure = error;
    attempt.end();
  });
  await attempt.atMost(CONNECT_MS, clock);
  if (isReady) return socket;
  socket.destroy();
  const at = `${server.origin}: ${systemErrorOf(failure)}`;
  throw new TransportError("lost", `Cannot connect to "${server.origin}": ${reasonOf(failure)}`, {
    cause: failure,
    at,
  });
}
