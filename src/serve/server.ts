import fastify, { type FastifyInstance } from "fastify";
import type { Registry } from "prom-client";
import type { BindAddress } from "../model/address.ts";
import type { Logger } from "../model/logger.ts";
import { ProblemTracker } from "../model/problem-tracker.ts";
import { ConnectionLimit, SERVED_CONNECTIONS } from "./connection-limit.ts";
import { answerOnce, REQUEST_TIMES } from "./first-request.ts";
import type { HealthAnswer, Probe } from "./health.ts";

/** The time between two attempts to listen, as in kube-proxy. */
const RETRY_MS = 5000;

const PLAIN = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };

/** Creates the server of /metrics, /proxyMode and /healthz, which is always 200. */
export function metricsServer(registry: Registry): FastifyInstance {
  const server = bareServer();
  // Requests that arrive during a rendering share its result, because rendering is by far the most expensive response.
  const render = shared(() => registry.metrics());
  answerAnyMethod(server, "/metrics", async () => ({
    status: 200,
    headers: { "content-type": registry.contentType },
    body: await render(),
  }));
  answerAnyMethod(server, "/healthz", async () => ({ status: 200, headers: PLAIN, body: "ok" }));
  answerAnyMethod(server, "/proxyMode", async () => ({ status: 200, headers: PLAIN, body: "ipvs" }));
  return server;
}

const PROBES: readonly Probe[] = ["healthz", "livez", "readyz"];

/** Creates the server of /healthz, /livez and /readyz. `probe` is called once for each request. */
export function healthServer(probe: (probe: Probe) => HealthAnswer): FastifyInstance {
  const server = bareServer();
  const headers = { "content-type": "application/json", "x-content-type-options": "nosniff" };
  for (const name of PROBES) answerAnyMethod(server, `/${name}`, async () => ({ headers, ...probe(name) }));
  return server;
}

/** A server that answers one request on each connection. Its close does not wait for clients, even during a request. */
function bareServer(): FastifyInstance {
  const server = fastify({ logger: false, forceCloseConnections: true, http: REQUEST_TIMES });
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

/** A function that runs the task. Calls during a run get the result of that run. */
function shared<Result>(task: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | undefined;
  return () => {
    running ??= task().finally(() => {
      running = undefined;
    });
    return running;
  };
}

interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function answerAnyMethod(server: FastifyInstance, path: string, answer: () => Promise<HttpResponse>): void {
  server.all(path, async (_request, reply) => {
    const { status, headers, body } = await answer();
    // Bytes, because Fastify adds a charset to JSON text.
    return reply.code(status).headers(headers).send(Buffer.from(body));
  });
}

/** The part of a Fastify server that listens. `listen` returns its address as a URL. */
export interface Listener {
  listen(options: { readonly host: string; readonly port: number }): Promise<string>;
}

export interface ListenOptions {
  /** The name of the server in the log, for example "metrics". */
  readonly name: string;
  readonly logger: Logger;
  /** Called when attempts begin to fail, and when the reason changes. */
  readonly onFailure: (error: unknown) => void;
  /** Rejects when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Listens, with a retry every 5 s until it succeeds or the signal aborts: the address may appear later, and an earlier
 * process may still use the port. An unspecified address means both families. The caller closes the server.
 */
export async function listen(server: Listener, bind: BindAddress, options: ListenOptions): Promise<void> {
  const { name, logger, onFailure, sleep, signal } = options;
  const failures = new ProblemTracker<unknown>();
  while (!signal.aborted) {
    try {
      logger.info({ server: name, address: await listenOnce(server, bind) }, "listening");
      return;
    } catch (error) {
      failures.replace([[String(error), error]]);
      for (const failure of failures.takeChanges(0).begun) {
        logger.error({ server: name, ...bind, err: failure, retryMs: RETRY_MS }, "cannot listen");
        onFailure(failure);
      }
    }
    await sleep(RETRY_MS, signal).catch(() => undefined);
  }
}

async function listenOnce(server: Listener, { address, port }: BindAddress): Promise<string> {
  const isUnspecified = address === "0.0.0.0" || address === "::";
  try {
    return await server.listen({ host: isUnspecified ? "::" : address, port });
  } catch (error) {
    // A kernel without IPv6 has no dual-stack socket.
    if (!isUnspecified || !isNoIPv6(error)) throw error;
    return await server.listen({ host: "0.0.0.0", port });
  }
}

function isNoIPv6(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EAFNOSUPPORT" || error.code === "EADDRNOTAVAIL");
}
