import { KUBERNETES, type Service, type ServiceName } from "../model/cluster/service.ts";

type NameQueue = Set<ServiceName>;

/**
 * The Services that wait to be computed and programmed. At boot all Services wait, and some are needed before others
 * can start: the API server, then DNS, then Services with endpoints on this node. All others follow.
 *
 * Whether a Service has endpoints on this node is checked only when its turn comes: checking all Services at once
 * blocks for 40 ms at 500,000 endpoints.
 */
export class ServiceQueue {
  readonly #first: NameQueue = new Set();
  readonly #kubernetes: NameQueue = new Set();
  readonly #names: NameQueue = new Set();
  readonly #unseen: NameQueue = new Set();
  readonly #others: NameQueue = new Set();
  readonly #queues: readonly NameQueue[] = [this.#first, this.#kubernetes, this.#names, this.#unseen, this.#others];

  get size(): number {
    return this.#queues.reduce((sum, line) => sum + line.size, 0);
  }

  /** Adds a Service; undefined: it is deleted. A Service that already waits keeps its place. */
  add(name: ServiceName, service: Service | undefined): void {
    if (!this.#queues.some((line) => line.has(name))) this.#queueOf(name, service).add(name);
  }

  /** Adds a Service before all others. */
  addFirst(name: ServiceName): void {
    for (const line of this.#queues) line.delete(name);
    this.#first.add(name);
  }

  /**
   * Removes and yields the Services, the most urgent first, as far as it is iterated. It yields undefined for a Service
   * that was checked and moved to a later queue, so that the caller counts the check as work.
   */
  *take(isHere: (name: ServiceName) => boolean): Generator<ServiceName | undefined> {
    for (;;) {
      const line = this.#queues.find(({ size }) => size > 0);
      if (line === undefined) return;
      for (const name of line) {
        line.delete(name);
        const waits = line === this.#unseen && !isHere(name);
        if (waits) this.#others.add(name);
        yield waits ? undefined : name;
        // The loop restarts only in this case: iterating a Set from the start passes all its deleted entries.
        if (this.#first.size > 0) break;
      }
    }
  }

  #queueOf(name: ServiceName, service: Service | undefined): NameQueue {
    if (service === undefined) return this.#others;
    if (name === KUBERNETES) return this.#kubernetes;
    return isDNS(service) ? this.#names : this.#unseen;
  }
}

function isDNS({ clusterDNS, ports }: Service): boolean {
  return clusterDNS || ports.some(({ port }) => port === 53);
}
