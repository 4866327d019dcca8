import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { addressPort, familyOf, type IPAddress } from "../model/address.ts";
import type { Clock } from "../model/clock.ts";
import type { HealthCheck, RefusedPort } from "../model/cluster/health-check.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { Logger } from "../model/logger.ts";
import { ConnectionLimit, SERVED_CONNECTIONS } from "./connection-limit.ts";
import { answerOnce, REQUEST_TIMES } from "./first-request.ts";

/** Between two attempts to listen: somebody may let go of the port, or a new IPv6 address be checked for duplicates. */
const RETRY_MS = 5_000;

export interface HealthCheckPortsParts {
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
  /** Whether this node's proxy works: else no Service is worth sending clients here. */
  readonly isHealthy: () => boolean;
  /** A port could not be listened on: told once, until it could. */
  readonly onRefused: (refused: RefusedPort) => void;
}

/**
 * Answers load balancers that ask whether a Service has endpoints on this node: for each Service and each address a
 * listener of its own. One that cannot listen tries again by itself, and holds up no other.
 */
export class HealthCheckPorts {
  readonly #parts: HealthCheckPortsParts;
  /** Of all together: there may be thousands. */
  readonly #limit = new ConnectionLimit(SERVED_CONNECTIONS);
  /** By Service, address and port. */
  readonly #listeners = new Map<string, CheckListener>();
  /** Services whose port has no address to listen on. */
  #homeless: ReadonlySet<ServiceName> = new Set();

  constructor(parts: HealthCheckPortsParts) {
    this.#parts = parts;
  }

  /** How many listen, and how many cannot: at one address, or for want of an address. */
  counts(): { readonly listening: number; readonly refused: number } {
    const states = [...this.#listeners.values()].map(({ isListening }) => isListening);
    const listening = states.filter(Boolean).length;
    return { listening, refused: states.length - listening + this.#homeless.size };
  }

  /** From now on these are the checks: answers change at once, what is no longer asked for is closed with its connections. */
  update(checks: Iterable<HealthCheck>): void {
    const all = [...checks];
    this.#tellHomeless(all.filter(({ localEndpoints }) => localEndpoints.size === 0));
    const wanted = new Map(all.flatMap(listenersOf).map((one) => [nameOf(one), one]));
    // First, for a port may go from one Service to another.
    for (const [name, listener] of this.#listeners) {
      if (wanted.has(name)) continue;
      listener.close();
      this.#listeners.delete(name);
    }
    for (const [name, one] of wanted) {
      const listener = this.#listeners.get(name);
      if (listener !== undefined) listener.localEndpoints = one.localEndpoints;
      else this.#listeners.set(name, new CheckListener(one, this.#parts, this.#limit));
    }
  }

  /** Closes all listeners with their connections. */
  close(): void {
    this.update([]);
  }

  #tellHomeless(checks: readonly HealthCheck[]): void {
    const known = this.#homeless;
    this.#homeless = new Set(checks.map(({ service }) => service));
    for (const { service, port } of checks) {
      const reason = "this node has no address on which NodePorts answer";
      if (!known.has(service)) refuse(this.#parts, { service, port, reason });
    }
  }
}

function refuse({ logger, onRefused }: HealthCheckPortsParts, refused: RefusedPort): void {
  logger.warn({ ...refused }, "cannot listen on health check port");
  onRefused(refused);
}

/** A check as one address sees it. */
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
 * - trying: not listening yet; an attempt is under way, or the next one is waited for.
 * - listening: until it is closed.
 * - closed: for good.
 */
class CheckListener {
  localEndpoints: number;
  readonly #check: CheckAtAddress;
  readonly #parts: HealthCheckPortsParts;
  readonly #server: Server;
  readonly #closed = new AbortController();
  #isTold = false;

  constructor(check: CheckAtAddress, parts: HealthCheckPortsParts, limit: ConnectionLimit) {
    this.#check = check;
    this.#parts = parts;
    this.localEndpoints = check.localEndpoints;
    this.#server = createServer(REQUEST_TIMES, (request, response) => this.#answer(request, response));
    answerOnce(this.#server, limit);
    this.#server.on("error", (error) => this.#retry(error));
    this.#server.on("listening", () => this.#begun());
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
    // Each family by itself, for they have counts of their own.
    this.#server.listen({ host: address, port, ipv6Only: familyOf(address) === "IPv6" });
  }

  #begun(): void {
    // Closed while the attempt was under way.
    if (this.#closed.signal.aborted) this.close();
    else if (this.#isTold) this.#parts.logger.info({ ...this.#check }, "health check port listens at last");
    this.#isTold = false;
  }

  #retry(error: Error): void {
    if (this.#closed.signal.aborted) return;
    const { service, port } = this.#check;
    if (!this.#isTold) refuse(this.#parts, { service, port, reason: error.message });
    this.#isTold = true;
    void this.#parts.clock.sleep(RETRY_MS, this.#closed.signal).then(() => {
      if (!this.#closed.signal.aborted) this.#listen();
    });
  }

  /** To any method and path, as kube-proxy answers. */
  #answer(request: IncomingMessage, response: ServerResponse): void {
    const isHealthy = this.#parts.isHealthy();
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
