/** What of a socket it takes to be counted, and closed. */
export interface Connection {
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
  once(event: "close", listener: () => void): unknown;
}

export interface ConnectionLimits {
  readonly all: number;
  /** From one remote address. */
  readonly each: number;
}

/** Load balancers, the kubelet and Prometheus need a few at a time; each may bring one request to one turn of the event loop. */
export const SERVED_CONNECTIONS: ConnectionLimits = { all: 256, each: 64 };

/**
 * Bounds the connections of one or more servers. A new connection is always let in and an older one closed for it: whoever
 * holds connections open could otherwise keep out the kubelet, which then restarts the agent. Closed is the oldest of the
 * new one's address when that has too many, else the oldest of the address that has most.
 */
export class ConnectionLimit {
  readonly #limits: ConnectionLimits;
  /** Oldest first, as are the connections of each. */
  readonly #byAddress = new Map<string, Set<Connection>>();
  #count = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** Counts a connection until it is closed, and closes another one if there are too many. */
  admit(connection: Connection): void {
    const address = connection.remoteAddress ?? "";
    const own = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, own.add(connection));
    this.#count++;
    connection.once("close", () => this.#forget(address, connection));
    if (own.size > this.#limits.each) this.#closeOldest(address, own);
    else if (this.#count > this.#limits.all) this.#closeOldest(...this.#largest());
  }

  #largest(): readonly [string, ReadonlySet<Connection>] {
    return [...this.#byAddress].reduce((most, other) => (other[1].size > most[1].size ? other : most));
  }

  #closeOldest(address: string, connections: ReadonlySet<Connection>): void {
    const [oldest] = connections;
    if (oldest === undefined) return;
    // At once: "close" comes in a later turn.
    this.#forget(address, oldest);
    oldest.destroy();
  }

  #forget(address: string, connection: Connection): void {
    const own = this.#byAddress.get(address);
    if (own?.delete(connection) !== true) return;
    this.#count--;
    if (own.size === 0) this.#byAddress.delete(address);
  }
}
