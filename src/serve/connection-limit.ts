/** The part of a socket that ConnectionLimit uses. */
export interface ServedConnection {
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
  once(event: "close", listener: () => void): unknown;
}

export interface ConnectionLimits {
  /** The number of connections in total. */
  readonly all: number;
  /** The number of connections from one remote address. */
  readonly each: number;
}

/**
 * The limits in production. Load balancers, the kubelet and Prometheus need a few connections at a time. Each connection
 * may bring one request into the same turn of the event loop.
 */
export const SERVED_CONNECTIONS: ConnectionLimits = { all: 256, each: 64 };

/**
 * Limits the number of connections of one or more servers. A new connection is always accepted, and an older connection
 * is closed if there are too many. If new connections were refused, a client that holds many connections could keep out
 * the kubelet, which would restart the agent. The closed connection is the oldest of the same remote address if that
 * address has too many, otherwise the oldest of the address with the most connections.
 */
export class ConnectionLimit {
  readonly #limits: ConnectionLimits;
  /** Addresses in the order of their first connection; the connections of each, oldest first. */
  readonly #byAddress = new Map<string, Set<ServedConnection>>();
  #count = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** Counts a connection until it closes, and closes an older connection if there are too many. */
  admit(connection: ServedConnection): void {
    const address = connection.remoteAddress ?? "";
    const own = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, own.add(connection));
    this.#count++;
    connection.once("close", () => this.#forget(address, connection));
    if (own.size > this.#limits.each) this.#closeOldest(address, own);
    else if (this.#count > this.#limits.all) this.#closeOldest(...this.#largest());
  }

  #largest(): readonly [string, ReadonlySet<ServedConnection>] {
    return [...this.#byAddress].reduce((most, other) => (other[1].size > most[1].size ? other : most));
  }

  #closeOldest(address: string, connections: ReadonlySet<ServedConnection>): void {
    const [oldest] = connections;
    if (oldest === undefined) return;
    // The event "close" comes in a later turn, but the count must be right in this turn.
    this.#forget(address, oldest);
    oldest.destroy();
  }

  #forget(address: string, connection: ServedConnection): void {
    const own = this.#byAddress.get(address);
    if (own?.delete(connection) !== true) return;
    this.#count--;
    if (own.size === 0) this.#byAddress.delete(address);
  }
}
