import type { FastifyInstance } from "fastify";
import { addressPort, type BindAddress } from "../model/address.ts";
import type { Logger } from "../model/logger.ts";
import { ProblemTracker } from "../model/problem-tracker.ts";
import type { HealthAnswer, Probe } from "./health.ts";
import { answerAnyMethod, httpServer, JSON_TEXT } from "./http-server.ts";

/** The time between two attempts to listen, as in kube-proxy. */
const RETRY_MS = 5000;

const PROBES: readonly Probe[] = ["healthz", "livez", "readyz"];

/** Creates the server of /healthz, /livez and /readyz. `probe` is called once for each request. */
export function healthServer(probe: (probe: Probe) => HealthAnswer): FastifyInstance {
  const server = httpServer();
  for (const name of PROBES) answerAnyMethod(server, `/${name}`, () => ({ headers: JSON_TEXT, ...probe(name) }));
  return server;
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
  /** Whether the first failure is final: `listen` rejects. */
  readonly hardFail?: boolean;
  /** Rejects when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Listens, with a retry every 5 s until it succeeds or the signal aborts: the address may appear later, and an earlier
 * process may still use the port. With `hardFail` it rejects after the first failure. An unspecified address means both families. The caller closes the server.
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
      if (options.hardFail === true)
        throw new Error(`Cannot listen on "${addressPort(bind.address, bind.port)}" for ${name}`, { cause: error });
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
