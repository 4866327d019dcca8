import { connect as connectPlain, type Socket } from "node:net";
import { connect, TLSSocket } from "node:tls";
import type { Clock } from "../../../model/clock.ts";
import type { TlsMaterial } from "../access/kubeconfig.ts";
import { type Connection, hostOf, tlsOptions } from "./connection.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Http2Connection } from "./http2-connection.ts";
import { reasonOf } from "./reason.ts";
import { TransportError } from "./transport.ts";

const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

/**
 * Connects to a server and settles on HTTP/2 or, where it has none, HTTP/1.1. HTTP/1.1 opens sockets of its own for its requests;
 * the one made here shows that the server can be reached at all. Rejects with a TransportError.
 */
export async function dial(server: URL, tls: TlsMaterial, clock: Clock, signal: AbortSignal): Promise<Connection> {
  const host = hostOf(server);
  const isPlain = server.protocol === "http:";
  const address = { host, port: Number(server.port || (isPlain ? 80 : 443)) };
  const socket = isPlain
    ? await connected(server, connectPlain(address), "connect", clock, signal)
    : await connected(
        server,
        connect({ ...address, ALPNProtocols: ["h2", "http/1.1"], ...tlsOptions(host, tls) }),
        "secureConnect",
        clock,
        signal,
      );
  if (socket instanceof TLSSocket && socket.alpnProtocol === "h2") {
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    return new Http2Connection(server.origin, socket, clock);
  }
  socket.destroy();
  return new Http1Connection(server, tls);
}

/** The socket when it emits `ready`; otherwise it is destroyed. */
async function connected(
  server: URL,
  socket: Socket,
  ready: "connect" | "secureConnect",
  clock: Clock,
  signal: AbortSignal,
): Promise<Socket> {
  const over = new AbortController();
  const end = () => over.abort();
  signal.addEventListener("abort", end, { signal: over.signal });
  if (signal.aborted) end();
  let failure: unknown = "no connection in time";
  let isReady = false;
  socket.once(ready, () => {
    isReady = true;
    end();
  });
  socket.on("error", (error) => {
    failure = error;
    end();
  });
  await clock.sleep(CONNECT_MS, over.signal);
  end();
  if (isReady) return socket;
  socket.destroy();
  throw new TransportError("lost", `Cannot connect to "${server.origin}": ${reasonOf(failure)}`, { cause: failure });
}
