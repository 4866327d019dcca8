import type { IPAddress } from "../address.ts";
import { TextTable } from "../text-table.ts";
import type { Endpoint, PortKey } from "./service.ts";

/** An endpoint of a slice without a port. */
export type Backend = Omit<Endpoint, "port">;

/** The weight of an endpoint that sets none; it is not written to the text. */
export const USUAL_WEIGHT = 1;

/** The hints of every endpoint without hints, shared to save memory. */
const NO_HINTS: readonly string[] = [];

/** A set of addresses: a Set, or the keys of a Map. */
export interface AddressSet {
  readonly size: number;
  has(address: IPAddress): boolean;
  keys(): Iterable<IPAddress>;
}

/**
 * Up to this number of addresses, each is searched in the text: V8 finds one address in a fifteenth of the time that it
 * takes to read all addresses of the text.
 */
const FEW = 15;

/**
 * The endpoints of one EndpointSlice: each backend at each port of the slice, immutable. They are kept as one text with
 * a line for each backend: address, node and state, then hints and a weight if they are set:
 *
 *     10.244.1.15 712 3
 *     10.244.1.15 712 3;7,8;712;50
 *
 * Names are numbers in a table that all slices of a source share. A line takes about 16 bytes, an object with its
 * address 150: this way 500,000 endpoints fit into the memory of an agent. Objects are made only when a caller reads
 * them.
 */
export class SliceEndpoints implements Iterable<readonly [PortKey, readonly Endpoint[]]> {
  // Methods are not private: V8 adds 8 bytes to each instance of a class with private methods.
  readonly #texts: TextTable;
  /** Number of the text of all ports; a cluster has few different ones. */
  readonly #ports: number;
  readonly #lines: string;
  /** Number of endpoints at each port. */
  readonly size: number;

  /** Keeps the order of the backends. Names and ports are added to the table. */
  constructor(ports: ReadonlyMap<PortKey, number>, backends: readonly Backend[], texts = new TextTable()) {
    this.#texts = texts;
    this.#ports = texts.numberOf(JSON.stringify([...ports]));
    this.#lines = backends.map((backend) => lineOf(backend, texts)).join("\n");
    this.size = backends.length;
  }

  /** Yields each port with its endpoints. */
  *[Symbol.iterator](): Generator<readonly [PortKey, readonly Endpoint[]]> {
    for (const [key, port] of this.ports()) yield [key, this.at(port)];
  }

  /** Returns the ports of the slice with their numbers. */
  ports(): readonly (readonly [PortKey, number])[] {
    return JSON.parse(this.#texts.at(this.#ports)); // the constructor wrote this text
  }

  /** Whether the slice has a port; without a port its endpoints serve nothing. */
  get hasPorts(): boolean {
    return this.#texts.at(this.#ports) !== NO_PORTS;
  }

  /** Returns the endpoints with this port number. */
  at(port: number): readonly Endpoint[] {
    return endpointsOf(this.#lines, port, this.#texts);
  }

  /** Whether an endpoint runs on the node. */
  isOn(nodeName: string): boolean {
    const number = this.#texts.find(nodeName);
    // Only the node of a line has a space on each side.
    return number !== undefined && this.#lines.includes(` ${number} `);
  }

  /** Returns those of the addresses that have an endpoint, in any state and at any port; each once. */
  among(addresses: AddressSet): Iterable<IPAddress> {
    if (addresses.size > FEW) return listedAmong(this.#lines, addresses);
    return [...addresses.keys()].filter((address) => isListed(this.#lines, address));
  }

  /** Whether both have the same endpoints in the same order. */
  equals(other: SliceEndpoints): boolean {
    if (this.#texts === other.#texts) return this.#ports === other.#ports && this.#lines === other.#lines;
    // Tables differ rarely: only between slices from before and after a table was full.
    const spelledOut = (slice: SliceEndpoints) =>
      JSON.stringify([slice.#texts.at(slice.#ports), endpointsOf(slice.#lines, 0, slice.#texts)]);
    return spelledOut(this) === spelledOut(other);
  }
}

/** The text of the ports of a slice that has none. */
const NO_PORTS = "[]";

const READY = 1;
const SERVING = 2;
const TERMINATING = 4;

function lineOf(backend: Backend, texts: TextTable): string {
  const { address, ready, serving, terminating, nodeName, zoneHints, nodeHints, weight } = backend;
  const state = (ready ? READY : 0) | (serving ? SERVING : 0) | (terminating ? TERMINATING : 0);
  const line = `${address} ${texts.numberOf(nodeName)} ${state}`;
  if (zoneHints.length === 0 && nodeHints.length === 0 && weight === USUAL_WEIGHT) return line;
  return `${line};${numbersOf(zoneHints, texts)};${numbersOf(nodeHints, texts)};${weight}`;
}

function numbersOf(names: readonly string[], texts: TextTable): string {
  return names.map((name) => texts.numberOf(name)).join(",");
}

function endpointsOf(lines: string, port: number, texts: TextTable): readonly Endpoint[] {
  return lines === "" ? [] : lines.split("\n").map((line) => parseLine(line, port, texts));
}

/**
 * Parses a line that `lineOf` wrote. It is written by hand, because every endpoint of a Service is parsed at each
 * change of the Service.
 */
function parseLine(line: string, port: number, texts: TextTable): Endpoint {
  const node = line.indexOf(" ") + 1;
  const nodeEnd = line.indexOf(" ", node);
  const state = line.charCodeAt(nodeEnd + 1) - DIGIT_ZERO;
  const more = line.length > nodeEnd + 2 ? line.split(";") : NO_HINTS;
  return {
    address: line.slice(0, node - 1) as IPAddress, // `lineOf` wrote it
    port,
    ready: (state & READY) !== 0,
    serving: (state & SERVING) !== 0,
    terminating: (state & TERMINATING) !== 0,
    nodeName: texts.at(Number(line.slice(node, nodeEnd))),
    zoneHints: textsOf(more[1], texts),
    nodeHints: textsOf(more[2], texts),
    weight: Number(more[3] ?? USUAL_WEIGHT),
  };
}

/** Whether a line begins with the address. */
function isListed(lines: string, address: IPAddress): boolean {
  return lines.startsWith(`${address} `) || lines.includes(`\n${address} `);
}

function listedAmong(lines: string, addresses: AddressSet): ReadonlySet<IPAddress> {
  const found = new Set<IPAddress>();
  for (let at = 0, next = 0; next >= 0 && at < lines.length; at = next + 1) {
    const end = lines.indexOf(" ", at);
    const address = lines.slice(at, end) as IPAddress; // `lineOf` wrote it
    if (addresses.has(address)) found.add(address);
    next = lines.indexOf("\n", end);
  }
  return found;
}

const DIGIT_ZERO = 48;

function textsOf(numbers: string | undefined, texts: TextTable): readonly string[] {
  return numbers === undefined || numbers === ""
    ? NO_HINTS
    : numbers.split(",").map((number) => texts.at(Number(number)));
}
