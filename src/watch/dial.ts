import { connect, type TLSSocket } from "node:tls";
import type { Clock } from "../model/clock.ts";
import { type Connection, hostOf, tlsOptions } from "./connection.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Http2Connection } from "./http2-connection.ts";
import type { TlsMaterial } from "./kubeconfig.ts";
import { TransportError } from "./transport.ts";

const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

/** Connects to a server and settles on HTTP/2 or, where it has none, HTTP/1.1. Rejects with a TransportError. */
export async function dial(server: URL, tls: TlsMaterial, clock: Clock, signal: AbortSignal): Promise<Connection> {
  if (server.protocol === "http:") return new Http1Connection(server, tls);
  const socket = await connected(server, tls, clock, signal);
  if (socket.alpnProtocol === "h2") return new Http2Connection(server.origin, socket, clock);
  socket.destroy();
  return new Http1Connection(server, tls);
}

async function connected(server: URL, tls: TlsMaterial, clock: Clock, signal: AbortSignal): Promise<TLSSocket> {
  const host = hostOf(server);
  const options = {
    host,
    port: Number(server.port || 443),
    ALPNProtocols: ["h2", "http/1.1"],
    ...tlsOptions(host, tls),
  };
  const over = new AbortController();
  const end = () => over.abort();
  signal.addEventListener("abort", end, { signal: over.signal });
  if (signal.aborted) end();
  const socket = connect(options);
  let failure: unknown = "no connection in time";
  let isSecure = false;
  socket.once("secureConnect", () => {
    isSecure = true;
    end();
  });
  socket.on("error", (error) => {
    failure = error;
    end();
  });
  await clock.sleep(CONNECT_MS, over.signal);
  end();
  if (isSecure) {
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    return socket;
  }
  socket.destroy();
  const reason = failure instanceof Error ? failure.message : String(failure);
  throw new TransportError("lost", `Cannot connect to "${server.origin}": ${reason}`, { cause: failure });
}
