import type { IPAddress } from "./address.ts";
import type { Endpoint, PortKey } from "./service.ts";

/** One endpoint of a slice before a port of the slice is joined to it. */
export type Backend = Omit<Endpoint, "port">;

/** What an endpoint weighs of which nothing is said; it is not written. */
export const USUAL_WEIGHT = 1;

/** Shared by every endpoint without hints. */
const NO_HINTS: readonly string[] = [];

/**
 * The endpoints of one EndpointSlice: each backend at each port of the slice, immutable. Kept as text, one line for each
 * backend: address, state, node, hints and an unusual weight, as "10.244.1.15 3 7", where names are numbers in a list. That is some 16
 * bytes instead of 150 for an object and its address; 500,000 endpoints fit into the memory of an agent this way. Whether two
 * versions say the same is a comparison of texts. An endpoint is an object only while somebody looks at it.
 */
export class SliceEndpoints implements Iterable<readonly [PortKey, readonly Endpoint[]]> {
  /** JSON of [key, number] pairs: a cluster knows few different ones, so they can be shared. */
  readonly #ports: string;
  readonly #lines: string;
  /** Names of nodes and zones, as the lines number them. */
  readonly #names: readonly string[];

  /** In the order given. `share` gives equal texts as one; names are kept as they come. */
  constructor(
    ports: ReadonlyMap<PortKey, number>,
    backends: readonly Backend[],
    share: (text: string) => string = (text) => text,
  ) {
    const names = new Numbering();
    this.#ports = share(JSON.stringify([...ports]));
    this.#lines = backends.map((backend) => lineOf(backend, names)).join("\n");
    this.#names = names.list();
  }

  /** For each port its endpoints. */
  *[Symbol.iterator](): Generator<readonly [PortKey, readonly Endpoint[]]> {
    // What the constructor wrote.
    const ports = JSON.parse(this.#ports) as [PortKey, number][];
    for (const [key, port] of ports) yield [key, this.#at(port)];
  }

  /** Whether one of them runs on the node. */
  isOn(nodeName: string): boolean {
    // Zones and nodes of hints are among the names, too.
    return this.#names.includes(nodeName) && this.#at(0).some((endpoint) => endpoint.nodeName === nodeName);
  }

  /** Says the same of the same endpoints in the same order. */
  equals(other: SliceEndpoints): boolean {
    return this.#lines === other.#lines && this.#ports === other.#ports && sameNames(this.#names, other.#names);
  }

  #at(port: number): readonly Endpoint[] {
    return this.#lines === "" ? [] : this.#lines.split("\n").map((line) => this.#parse(line, port));
  }

  /** Reads what `lineOf` wrote. By hand, as it is done for every endpoint whenever one of its Service changes. */
  #parse(line: string, port: number): Endpoint {
    const space = line.indexOf(" ");
    const state = line.charCodeAt(space + 1) - DIGIT_ZERO;
    const node = space + 3;
    const end = line.indexOf(" ", node);
    const [zones, nodes, weight] = end < 0 ? NOBODY : line.slice(end + 1).split(" ");
    return {
      address: line.slice(0, space) as IPAddress,
      port,
      ready: (state & READY) !== 0,
      serving: (state & SERVING) !== 0,
      terminating: (state & TERMINATING) !== 0,
      nodeName: this.#names[Number(line.slice(node, end < 0 ? undefined : end))] ?? "",
      zoneHints: this.#named(zones),
      nodeHints: this.#named(nodes),
      weight: weight === undefined ? USUAL_WEIGHT : Number(weight),
    };
  }

  #named(numbers: string | undefined): readonly string[] {
    if (numbers === undefined || numbers === "") return NO_HINTS;
    return numbers.split(",").map((number) => this.#names[Number(number)] ?? "");
  }
}

const DIGIT_ZERO = 48;
const NOBODY: readonly string[] = [];
const READY = 1;
const SERVING = 2;
const TERMINATING = 4;

function lineOf(backend: Backend, names: Numbering): string {
  const { address, ready, serving, terminating, nodeName, zoneHints, nodeHints, weight } = backend;
  const state = (ready ? READY : 0) | (serving ? SERVING : 0) | (terminating ? TERMINATING : 0);
  const line = `${address} ${state} ${names.of(nodeName)}`;
  const isUsual = weight === USUAL_WEIGHT;
  if (zoneHints.length === 0 && nodeHints.length === 0 && isUsual) return line;
  const hinted = `${line} ${numbers(zoneHints, names)} ${numbers(nodeHints, names)}`;
  return isUsual ? hinted : `${hinted} ${weight}`;
}

function numbers(hints: readonly string[], names: Numbering): string {
  return hints.map((name) => names.of(name)).join(",");
}

/** Numbers names in the order they come. */
class Numbering {
  readonly #names: string[] = [];
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#names.push(name);
    this.#numbers.set(name, this.#names.length - 1);
    return this.#names.length - 1;
  }

  list(): readonly string[] {
    return this.#names.slice();
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}
