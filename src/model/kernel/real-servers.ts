import type { IPAddress } from "../address.ts";
import type { Forwarding, RealServer, RealServerKey } from "./ipvs.ts";

/** The fields that describe a real server; an Endpoint has them too. */
export interface RealServerParts {
  readonly address: IPAddress;
  readonly port: number;
  /** 1 if absent. */
  readonly weight?: number;
  /** "masquerade" if absent. */
  readonly forwarding?: Forwarding;
}

/** A real server that differs between two lists: its value in each of them, undefined if the list does not have it. */
export interface Difference {
  readonly mine: RealServer | undefined;
  readonly other: RealServer | undefined;
}

/**
 * The real servers of one virtual server, each once, immutable. They are kept as one text with a line for each, such as
 * "10.244.1.5:8443 1": this takes about 20 bytes instead of 200 for an object with its key, and one comparison of texts
 * compares two lists. Objects are made only when a caller reads them.
 */
export class RealServers implements Iterable<RealServer> {
  static readonly NONE = new RealServers("", 0);

  /** One line for each real server, in the order of `compareParts`. */
  readonly #lines: string;
  readonly size: number;

  private constructor(lines: string, size: number) {
    this.#lines = lines;
    this.size = size;
  }

  /** Makes the list from real servers in any order; no two may have the same address and port. */
  static of(reals: readonly RealServerParts[]): RealServers {
    if (reals.length === 0) return RealServers.NONE;
    const sorted = isSorted(reals) ? reals : reals.toSorted(compareParts);
    return new RealServers(linesOf(sorted).join("\n"), reals.length);
  }

  /** Returns the real servers, sorted by address as text, then by port. */
  list(): readonly RealServer[] {
    const reals: RealServer[] = [];
    for (let start = 0; start < this.#lines.length; ) {
      const end = endOfLine(this.#lines, start);
      reals.push(parseLine(this.#lines, start, end));
      start = end + 1;
    }
    return reals;
  }

  [Symbol.iterator](): Iterator<RealServer> {
    return this.list()[Symbol.iterator]();
  }

  /** Whether the predicate holds for all; stops at the first for which it does not. */
  every(holds: (real: RealServer) => boolean): boolean {
    for (let start = 0; start < this.#lines.length; ) {
      const end = endOfLine(this.#lines, start);
      if (!holds(parseLine(this.#lines, start, end))) return false;
      start = end + 1;
    }
    return true;
  }

  get(key: RealServerKey): RealServer | undefined {
    const start = this.#find(key);
    return start < 0 ? undefined : parseLine(this.#lines, start, endOfLine(this.#lines, start));
  }

  has(key: RealServerKey): boolean {
    return this.#find(key) >= 0;
  }

  /** Whether both lists have the same real servers and an update would change nothing. */
  equals(other: RealServers): boolean {
    return this.#lines === other.#lines;
  }

  /**
   * Returns the differences from another list, in order. Equal lines are not parsed: usually only one or two lines
   * differ.
   */
  differences(other: RealServers): readonly Difference[] {
    const found: Difference[] = [];
    const start = startOfDifference(this.#lines, other.#lines);
    const mine = new LineReader(this.#lines, start);
    const others = new LineReader(other.#lines, start);
    while (!mine.isDone || !others.isDone) {
      if (mine.line === others.line) {
        mine.next();
        others.next();
        continue;
      }
      const order = orderOf(mine.real, others.real);
      found.push({ mine: order <= 0 ? mine.real : undefined, other: order >= 0 ? others.real : undefined });
      if (order <= 0) mine.next();
      if (order >= 0) others.next();
    }
    return found;
  }

  /** Returns the real servers by key, for callers that look up many. */
  toMap(): Map<RealServerKey, RealServer> {
    return new Map(this.list().map((real) => [real.key, real]));
  }

  /**
   * Returns where the line of the key begins; -1 if there is none. The lines are sorted, so about 14 of 10,000 are
   * read.
   */
  #find(key: RealServerKey): number {
    const colon = key.lastIndexOf(":");
    const address = (key.startsWith("[") ? key.slice(1, colon - 1) : key.slice(0, colon)) as IPAddress; // realServerKey made it
    const wanted = { address, port: digits(key, colon + 1, key.length) };
    let [from, to] = [0, this.#lines.length];
    while (from < to) {
      const start = this.#lines.lastIndexOf("\n", ((from + to) >> 1) - 1) + 1;
      const end = endOfLine(this.#lines, start);
      const order = compareParts(parseLine(this.#lines, start, end), wanted);
      if (order === 0) return start;
      if (order < 0) from = end + 1;
      else to = start;
    }
    return -1;
  }
}

/** Compares real servers in the order that all code uses: by address as text, then by port. */
export function compareParts(a: RealServerParts, b: RealServerParts): number {
  if (a.address === b.address) return a.port - b.port;
  return a.address < b.address ? -1 : 1;
}

/** Whether the list is in that order, without duplicates. */
export function isSorted(reals: readonly RealServerParts[]): boolean {
  return reals.every((real, index) => {
    const before = reals[index - 1];
    return before === undefined || compareParts(before, real) < 0;
  });
}

/** Returns the lines. Usually only the addresses differ, so the text behind equal ports and weights is made once. */
function linesOf(reals: readonly RealServerParts[]): readonly string[] {
  let last: RealServerParts | undefined;
  let rest = "";
  return reals.map((real) => {
    if (last === undefined || !isAlike(last, real)) rest = restOf(real);
    last = real;
    return real.address.includes(":") ? `[${real.address}]${rest}` : real.address + rest;
  });
}

function isAlike(a: RealServerParts, b: RealServerParts): boolean {
  return a.port === b.port && a.weight === b.weight && a.forwarding === b.forwarding;
}

/** Returns the part of the line behind the address. */
function restOf({ port, weight = 1, forwarding = "masquerade" }: RealServerParts): string {
  return forwarding === "masquerade" ? `:${port} ${weight}` : `:${port} ${weight} ${forwarding}`;
}

/** Reads lines in sequence. */
class LineReader {
  readonly #lines: string;
  #at: number;
  /** The current line; "" after the last one. */
  line = "";
  #real: RealServer | undefined;

  /** Starts with the line that begins at `start`. */
  constructor(lines: string, start: number) {
    this.#lines = lines;
    this.#at = start;
    this.#read();
  }

  get isDone(): boolean {
    return this.line === "";
  }

  /** The real server of the current line; undefined after the last one. */
  get real(): RealServer | undefined {
    if (!this.isDone) this.#real ??= parseLine(this.line, 0, this.line.length);
    return this.#real;
  }

  next(): void {
    this.#at += this.line.length + 1;
    this.#real = undefined;
    this.#read();
  }

  #read(): void {
    this.line = this.#lines.slice(this.#at, endOfLine(this.#lines, this.#at));
  }
}

/** Compares as `compareParts`; a missing real server comes last. */
function orderOf(a: RealServer | undefined, b: RealServer | undefined): number {
  if (a === undefined) return 1;
  return b === undefined ? -1 : compareParts(a, b);
}

/** Returns where the first line that differs begins, which is the same offset in both texts. */
function startOfDifference(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at === 0 ? 0 : a.lastIndexOf("\n", at - 1) + 1;
}

function endOfLine(lines: string, start: number): number {
  const end = lines.indexOf("\n", start);
  return end < 0 ? lines.length : end;
}

/** Parses a line that `linesOf` wrote. It is written by hand, because a cold start parses all real servers. */
function parseLine(lines: string, start: number, end: number): RealServer {
  const space = lines.indexOf(" ", start);
  const colon = lines.lastIndexOf(":", space);
  const address = lines.charCodeAt(start) === BRACKET ? lines.slice(start + 1, colon - 1) : lines.slice(start, colon);
  const second = lines.indexOf(" ", space + 1);
  const hasWord = second >= 0 && second < end;
  return {
    key: lines.slice(start, space) as RealServerKey,
    address: address as IPAddress,
    port: digits(lines, colon + 1, space),
    weight: digits(lines, space + 1, hasWord ? second : end),
    forwarding: hasWord ? (lines.slice(second + 1, end) as Forwarding) : "masquerade",
  };
}

const BRACKET = 91;
const DIGIT_ZERO = 48;

function digits(text: string, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + text.charCodeAt(at) - DIGIT_ZERO;
  return value;
}
