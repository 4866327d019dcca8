import { KUBERNETES, type Service, type ServiceName } from "../model/cluster/service.ts";

type Line = Set<ServiceName>;

/**
 * Services that wait to be computed, and so to be programmed. A node that boots has all of them waiting, and needs some
 * before anything else can start on it: the API server, then names, then what its own pods offer. The rest follows.
 *
 * Whether a pod of a Service runs here is seen only when its turn comes: to ask all at once blocks for 40 ms at 500,000
 * endpoints.
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

  /** Lets a Service wait, undefined when it is gone. One that waits already keeps its place. */
  add(name: ServiceName, service: Service | undefined): void {
    if (!this.#lines.some((line) => line.has(name))) this.#lineOf(name, service).add(name);
  }

  /** Lets a Service wait before all others. */
  addFirst(name: ServiceName): void {
    for (const line of this.#lines) line.delete(name);
    this.#first.add(name);
  }

  /**
   * Takes the Services away, the most needed first, as far as it is iterated. Undefined stands for one that was looked
   * at and has to wait longer, so that whoever takes a few at a time counts it as work.
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
        // Only then: whoever begins a line anew walks over the places of all that it had before.
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
