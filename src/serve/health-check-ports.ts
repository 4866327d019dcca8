import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { addressPort, familyOf, type IPAddress } from "../model/address.ts";
import type { HealthCheck, RefusedPort } from "../model/cluster/health-check.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import { ConnectionLimit, SERVED_CONNECTIONS } from "./connection-limit.ts";
import { answerOnce, REQUEST_TIMES } from "./first-request.ts";

/** The time between two attempts to listen. Another process may close the port, or a new IPv6 address becomes usable. */
const RETRY_MS = 5_000;

export interface HealthCheckPortsDependencies {
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
  /** Whether the proxy of this node works. If not, all health checks fail. */
  readonly isHealthy: () => boolean;
  /** Called when attempts to listen on a port begin to fail. */
  readonly onRefused: (refused: RefusedPort) => void;
}

/**
 * Serves the health check node ports, by which load balancers find the nodes with endpoints of a Service. Each address of
 * each Service has its own listener. A listener that cannot listen retries, and does not affect other listeners.
 */
export class HealthCheckPorts {
  readonly #dependencies: HealthCheckPortsDependencies;
  /** One limit for all ports together, because there may be thousands of ports. */
  readonly #limit = new ConnectionLimit(SERVED_CONNECTIONS);
  /** By Service, address and port. */
  readonly #listeners = new Map<string, CheckListener>();
  /** Services whose port has no address to listen on. */
  #withoutAddress: ReadonlySet<ServiceName> = new Set();

  constructor(dependencies: HealthCheckPortsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * The number of sockets that listen, and the number of sockets that cannot. A Service without an address to listen on
   * counts as one socket that cannot.
   */
  counts(): { readonly listening: number; readonly refused: number } {
    const states = [...this.#listeners.values()].map(({ isListening }) => isListening);
    const listening = states.filter(Boolean).length;
    return { listening, refused: states.length - listening + this.#withoutAddress.size };
  }

  /** Replaces all checks. Responses change at once. Listeners of removed checks close with their connections. */
  update(checks: Iterable<HealthCheck>): void {
    const all = [...checks];
    this.#reportWithoutAddress(all.filter(({ localEndpoints }) => localEndpoints.size === 0));
    const desired = new Map(all.flatMap(listenersOf).map((check) => [nameOf(check), check]));
    // Close before opening, because a port may move from one Service to another.
    for (const [name, listener] of this.#listeners) {
      if (desired.has(name)) continue;
      listener.close();
      this.#listeners.delete(name);
    }
    for (const [name, check] of desired) {
      const listener = this.#listeners.get(name);
      if (listener !== undefined) listener.localEndpoints = check.localEndpoints;
      else this.#listeners.set(name, new CheckListener(check, this.#dependencies, this.#limit));
    }
  }

  /** Closes all listeners with their connections. */
  close(): void {
    this.update([]);
  }

  #reportWithoutAddress(checks: readonly HealthCheck[]): void {
    const known = this.#withoutAddress;
    this.#withoutAddress = new Set(checks.map(({ service }) => service));
    for (const { service, port } of checks) {
      const reason = "this node has no NodePort address";
      if (!known.has(service)) report(this.#dependencies, { service, port, reason });
    }
  }
}

function report({ logger, onRefused }: HealthCheckPortsDependencies, refused: RefusedPort): void {
  logger.warn({ ...refused }, "cannot listen on health check port");
  onRefused(refused);
}

/** A health check at one address. */
interface CheckAtAddress {
  readonly service: ServiceName;
  readonly address: IPAddress;
  readonly port: number;
  readonly localEndpoints: number;
}

function listenersOf({ service, port, localEndpoints }: HealthCheck): readonly CheckAtAddress[] {
  return Array.from(localEndpoints, ([address, count]) => ({ service, address, port, localEndpoints: count }));
}

function nameOf({ service, address, port }: CheckAtAddress): string {
  return `${service} ${addressPort(address, port)}`;
}

/**
 * The listener of one check at one address.
 *
 * - trying: it does not listen yet. An attempt is under way, or the time until the next attempt runs.
 * - listening: it listens until `close`.
 * - closed: `close` was called. This state is final.
 */
class CheckListener {
  localEndpoints: number;
  readonly #check: CheckAtAddress;
  readonly #dependencies: HealthCheckPortsDependencies;
  readonly #server: Server;
  readonly #closed = new AbortController();
  #isReported = false;

  constructor(check: CheckAtAddress, dependencies: HealthCheckPortsDependencies, limit: ConnectionLimit) {
    this.#check = check;
    this.#dependencies = dependencies;
    this.localEndpoints = check.localEndpoints;
    this.#server = createServer(REQUEST_TIMES, (request, response) => this.#answer(request, response));
    answerOnce(this.#server, limit);
    this.#server.on("error", (error) => this.#retry(error));
    this.#server.on("listening", () => this.#onListening());
    this.#listen();
  }

  get isListening(): boolean {
    return this.#server.listening;
  }

  close(): void {
    this.#closed.abort();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #listen(): void {
    const { address, port } = this.#check;
    // One socket for each family, because the families have different numbers of endpoints.
    this.#server.listen({ host: address, port, ipv6Only: familyOf(address) === "IPv6" });
  }

  #onListening(): void {
    // `close` was called while the attempt was under way.
    if (this.#closed.signal.aborted) this.close();
    else if (this.#isReported) this.#dependencies.logger.info({ ...this.#check }, "listening on health check port");
    this.#isReported = false;
  }

  #retry(error: Error): void {
    if (this.#closed.signal.aborted) return;
    const { service, port } = this.#check;
    if (!this.#isReported) report(this.#dependencies, { service, port, reason: error.message });
    this.#isReported = true;
    void this.#dependencies.clock.sleep(RETRY_MS, this.#closed.signal).then(() => {
      if (!this.#closed.signal.aborted) this.#listen();
    });
  }

  /** Answers any method and path, in the same form as kube-proxy. */
  #answer(request: IncomingMessage, response: ServerResponse): void {
    const isHealthy = this.#dependencies.isHealthy();
    const [namespace, name] = this.#check.service.split("/");
    const body = JSON.stringify(
      { service: { namespace, name }, localEndpoints: this.localEndpoints, serviceProxyHealthy: isHealthy },
      null,
      "\t",
    );
    request.resume();
    response.writeHead(isHealthy && this.localEndpoints > 0 ? 200 : 503, {
      "Content-Type": "application/json",
      "X-Content-Type-Options": "nosniff",
      "X-Load-Balancing-Endpoint-Weight": this.localEndpoints,
    });
    response.end(body);
  }
}
