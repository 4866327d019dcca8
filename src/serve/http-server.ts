import type { Server as TlsServer } from "node:tls";
import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { ConnectionLimit, SERVED_CONNECTIONS } from "./connection-limit.ts";
import { answerOnce, REQUEST_TIMES } from "./first-request.ts";

/** The headers of a text, as Go writes them. */
export const PLAIN = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
/** The headers of a JSON text. */
export const JSON_TEXT = { "content-type": "application/json", "x-content-type-options": "nosniff" };

/** The time for a TLS handshake. */
const HANDSHAKE_MS = 10_000;

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** A server that answers one request on each connection. Its close does not wait for clients, even during a request. */
export function httpServer(): FastifyInstance {
  return prepared(fastify({ logger: false, forceCloseConnections: true, http: REQUEST_TIMES }));
}

/** As `httpServer`, over TLS. It has no certificate before `setSecureContext` of `tls`. */
export function httpsServer(): { readonly server: FastifyInstance; readonly tls: TlsServer } {
  const https = { ...REQUEST_TIMES, handshakeTimeout: HANDSHAKE_MS };
  const server = fastify({ logger: false, forceCloseConnections: true, https });
  // The type has the server of node:https as a parameter, which nothing here uses but TlsServer.
  return { server: prepared(server as unknown as FastifyInstance), tls: server.server };
}

function prepared(server: FastifyInstance): FastifyInstance {
  answerOnce(server.server, new ConnectionLimit(SERVED_CONNECTIONS));
  server.removeAllContentTypeParsers();
  // Bodies are discarded, so that no body is an error.
  server.addContentTypeParser("*", (_request, payload, done) => {
    payload.resume();
    done(null);
  });
  server.setNotFoundHandler(async (_request, reply) => reply.code(404).headers(PLAIN).send("404 page not found\n"));
  return server;
}

/** Answers requests of any method for exactly this path. */
export function answerAnyMethod(
  server: FastifyInstance,
  path: string,
  answer: (request: FastifyRequest) => HttpResponse | Promise<HttpResponse>,
): void {
  server.all(path, async (request, reply) => {
    const { status, headers, body } = await answer(request);
    // Bytes, because Fastify adds a charset to JSON text.
    return reply.code(status).headers(headers).send(Buffer.from(body));
  });
}
