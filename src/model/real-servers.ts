import { addressPort, type IPAddress } from "./address.ts";
import { type Forwarding, type RealServer, type RealServerKey, realServerKey } from "./ipvs.ts";

/** What makes a real server: an Endpoint is one, too. */
export interface RealServerParts {
  readonly address: IPAddress;
  readonly port: number;
  /** 1 when not said. */
  readonly weight?: number;
  /** "masquerade" when not said. */
  readonly forwarding?: Forwarding;
}

/**
 * The real servers of one virtual server, each once, immutable. They are kept as one text, a line each, as
 * "10.244.1.5:8443 1": some 20 bytes instead of the 200 of an object with its key, and whether two are the same is
 * one comparison. A real server is an object only while somebody looks at it.
 */
export class RealServers implements Iterable<RealServer> {
  static readonly NONE = new RealServers("", 0);

  /** In the order of `compareParts`. */
  readonly #lines: string;
  readonly size: number;

  private constructor(lines: string, size: number) {
    this.#lines = lines;
    this.size = size;
  }

  /** In any order; no two with the same address and port. */
  static of(reals: readonly RealServerParts[]): RealServers {
    if (reals.length === 0) return RealServers.NONE;
    const sorted = isSorted(reals) ? reals : reals.toSorted(compareParts);
    return new RealServers(sorted.map(lineOf).join("\n"), reals.length);
  }

  /** Sorted by address as text, then port. */
  list(): readonly RealServer[] {
    return this.size === 0 ? [] : this.#lines.split("\n").map(parseLine);
  }

  [Symbol.iterator](): Iterator<RealServer> {
    return this.list()[Symbol.iterator]();
  }

  get(key: RealServerKey): RealServer | undefined {
    const start = this.#find(key);
    if (start < 0) return undefined;
    const end = this.#lines.indexOf("\n", start);
    return parseLine(this.#lines.slice(start, end < 0 ? undefined : end));
  }

  has(key: RealServerKey): boolean {
    return this.#find(key) >= 0;
  }

  /** The same real servers with nothing for an update to change. */
  equals(other: RealServers): boolean {
    return this.#lines === other.#lines;
  }

  /** By key, for whoever asks for many of them. */
  toMap(): Map<RealServerKey, RealServer> {
    return new Map(this.list().map((real) => [real.key, real]));
  }

  /** Where the line of the key begins; -1 without one. */
  #find(key: RealServerKey): number {
    const prefix = `${key} `;
    if (this.#lines.startsWith(prefix)) return 0;
    const before = this.#lines.indexOf(`\n${prefix}`);
    return before < 0 ? -1 : before + 1;
  }
}

function compareParts(a: RealServerParts, b: RealServerParts): number {
  if (a.address === b.address) return a.port - b.port;
  return a.address < b.address ? -1 : 1;
}

function isSorted(reals: readonly RealServerParts[]): boolean {
  return reals.every((real, index) => {
    const before = reals[index - 1];
    return before === undefined || compareParts(before, real) < 0;
  });
}

function lineOf({ address, port, weight = 1, forwarding = "masquerade" }: RealServerParts): string {
  const line = `${addressPort(address, port)} ${weight}`;
  return forwarding === "masquerade" ? line : `${line} ${forwarding}`;
}

/** Reads what `lineOf` wrote. */
function parseLine(line: string): RealServer {
  const space = line.indexOf(" ");
  const colon = line.lastIndexOf(":", space);
  const address = line.startsWith("[") ? line.slice(1, colon - 1) : line.slice(0, colon);
  const port = Number(line.slice(colon + 1, space));
  const end = line.indexOf(" ", space + 1);
  return {
    key: realServerKey(address as IPAddress, port),
    address: address as IPAddress,
    port,
    weight: Number(line.slice(space + 1, end < 0 ? undefined : end)),
    forwarding: end < 0 ? "masquerade" : (line.slice(end + 1) as Forwarding),
  };
}
