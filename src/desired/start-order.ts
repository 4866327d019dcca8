import { KUBERNETES, type Service, type ServiceName } from "../model/cluster/service.ts";

type Line = Set<ServiceName>;

/**
 * The Services that wait to be computed and programmed. At boot all Services wait, and some are needed before others
 * can start: the API server, then DNS, then Services with endpoints on this node. All others follow.
 *
 * Whether a Service has endpoints on this node is checked only when its turn comes: checking all Services at once
 * blocks for 40 ms at 500,000 endpoints.
 */
export class StartOrder {
  readonly #first: Line = new Set();
  readonly #kubernetes: Line = new Set();
  readonly #names: Line = new Set();
  readonly #unseen: Line = new Set();
  readonly #others: Line = new Set();
  readonly #lines: readonly Line[] = [this.#first, this.#kubernetes, this.#names, this.#unseen, this.#others];

  get size(): number {
    return this.#lines.reduce((sum, line) => sum + line.size, 0);
  }

  /** Adds a Service; undefined: it is deleted. A Service that already waits keeps its place. */
  add(name: ServiceName, service: Service | undefined): void {
    if (!this.#lines.some((line) => line.has(name))) this.#lineOf(name, service).add(name);
  }

  /** Adds a Service before all others. */
  addFirst(name: ServiceName): void {
    for (const line of this.#lines) line.delete(name);
    this.#first.add(name);
  }

  /**
   * Removes and yields the Services, the most urgent first, as far as it is iterated. It yields undefined for a Service
   * that was checked and moved to a later queue, so that the caller counts the check as work.
   */
  *take(isHere: (name: ServiceName) => boolean): Generator<ServiceName | undefined> {
    for (;;) {
      const line = this.#lines.find(({ size }) => size > 0);
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

  #lineOf(name: ServiceName, service: Service | undefined): Line {
    if (service === undefined) return this.#others;
    if (name === KUBERNETES) return this.#kubernetes;
    return isDNS(service) ? this.#names : this.#unseen;
  }
}

function isDNS({ clusterDNS, ports }: Service): boolean {
  return clusterDNS || ports.some(({ port }) => port === 53);
}
