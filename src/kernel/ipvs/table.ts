import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { FAMILIES, familyOf, type IPAddress, parseAddress } from "../../model/address.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import { markedServerKey, realServerKey, type VirtualServerKey, virtualServerKey } from "../../model/kernel/ipvs.ts";
import type { DecodedReal } from "./codec.ts";
import { FORWARDING_WORDS } from "./constants.ts";

/** One virtual server of the table and all its real servers. */
export interface TableRow {
  /** The key of the virtual server; two keys if the row does not show which of the two it is. */
  readonly keys: readonly VirtualServerKey[];
  readonly reals: readonly DecodedReal[];
}

/**
 * Size of the read buffer. The kernel returns one page of its table for each read, and for each it walks to the end of
 * the previous page.
 */
const TABLE_BYTES = 16_384;
/** Number of virtual and real servers of the table that are read in one turn of the event loop: about a millisecond. */
const TABLE_SLICE = 500;

/** There is no table, or a line does not have a format that a kernel is known to print. */
export class TableError extends Error {
  override readonly name = "TableError";
}

const PROTOCOLS: ReadonlyMap<string, Protocol> = new Map([
  ["TCP", "TCP"],
  ["UDP", "UDP"],
  ["SCTP", "SCTP"],
]);

/**
 * Returns the rows of the table, part by part; each part is read when the caller requests it. A row is the complete
 * state of one virtual server at one moment, but rows may be missing. The kernel starts each page of 4 KB at a row
 * number. Up to Linux 6.19 that number counts the rows of all network namespaces, so the kernel skips rows of this
 * one: of 600 virtual servers beside 600 of another namespace, 307 were shown. A concurrent change can also hide a
 * row or show it twice. Therefore a row in the table is correct, and a missing row proves nothing. Rejects with a
 * TableError at a line that cannot be read, and if there is no table.
 */
export async function* tableParts(path: string): AsyncGenerator<readonly TableRow[]> {
  let part: TableRow[] = [];
  let size = 0;
  for (const row of tableRows(filePieces(path))) {
    part.push(row);
    size += 1 + row.reals.length;
    if (size < TABLE_SLICE) continue;
    yield part;
    part = [];
    size = 0;
    await yieldToEventLoop();
  }
  yield part;
}

/**
 * Returns a file piece by piece, in one buffer: a piece is valid until the next is requested. Throws a TableError if
 * the file cannot be read.
 */
function* filePieces(path: string): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(TABLE_BYTES);
  const file = orTableError(path, () => openSync(path, "r"));
  try {
    for (;;) {
      const length = orTableError(path, () => readSync(file, buffer));
      if (length === 0) return;
      yield buffer.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

function orTableError<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    throw new TableError(`Cannot read "${path}"`, { cause });
  }
}

/**
 * Reads /proc/net/ip_vs row by row from pieces of any length; each piece is requested after the previous one was read.
 *
 *     IP Virtual Server version 1.2.1 (size=4096)
 *     Prot LocalAddress:Port Scheduler Flags
 *       -> RemoteAddress:Port Forward Weight ActiveConn InActConn
 *     TCP  0A600001:01BB rr persistent 10800 FFFFFFFF
 *       -> 0AF40105:20FB      Masq    1      0          2
 *     UDP  [fd00:0000:0000:0000:0000:0000:0000:000a]:0035 rr
 *     FWM  00000007 rr
 *
 * The size is ignored: the table of Linux 7.1 and newer grows, and an empty one has size 0.
 *
 * The kernel prints a virtual server and its real servers as one record, so a row is consistent; between two rows the
 * table may change. Throws a TableError at a line of another format.
 */
export function* tableRows(pieces: Iterable<Buffer>): Generator<TableRow> {
  let row: { readonly name: VirtualServerKey | number; readonly reals: DecodedReal[] } | undefined;
  for (const line of linesAfterHeading(pieces)) {
    if (line.startsWith(" ")) row?.reals.push(readReal(line));
    else {
      if (row !== undefined) yield finished(row.name, row.reals);
      row = { name: readName(line), reals: [] };
    }
  }
  if (row !== undefined) yield finished(row.name, row.reals);
}

/**
 * Completes a row. The row of a firewall mark does not show its family, and each family may have a virtual server of
 * that mark. A masqueraded real server shows the family, because it has the family of its virtual server.
 */
function finished(name: VirtualServerKey | number, reals: readonly DecodedReal[]): TableRow {
  if (typeof name === "string") return { keys: [name], reals };
  const witness = reals.find(({ real }) => real.forwarding === "masquerade");
  const families = witness === undefined ? FAMILIES : [familyOf(witness.real.address)];
  return { keys: families.map((family) => markedServerKey(family, name)), reals };
}

const HEADING_LINES = 3;
const NEWLINE = 10;

function* linesAfterHeading(pieces: Iterable<Buffer>): Generator<string> {
  let number = 0;
  for (const line of lines(pieces)) if (number++ >= HEADING_LINES) yield line;
}

function* lines(pieces: Iterable<Buffer>): Generator<string> {
  let begun = "";
  for (const piece of pieces) {
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      yield begun + piece.toString("latin1", start, end);
      begun = "";
      start = end + 1;
    }
    begun += piece.toString("latin1", start);
  }
  if (begun !== "") throw unreadable(begun);
}

const VIRTUAL = /^(TCP|UDP|SCTP|FWM) +(\S+)/;
const REAL = /^ {2}-> (\S+) +(\w+) +(-?\d+) +(\d+) +(\d+) *$/;

/** Returns the key of a row, or its firewall mark if it has no address. */
function readName(line: string): VirtualServerKey | number {
  const match = VIRTUAL.exec(line);
  if (match === null) throw unreadable(line);
  const protocol = PROTOCOLS.get(match[1] ?? "");
  if (protocol === undefined) return readMark(match[2] ?? "", line);
  const { address, port } = readAddressPort(match[2] ?? "", line);
  return virtualServerKey(protocol, address, port);
}

function readReal(line: string): DecodedReal {
  const match = REAL.exec(line);
  const forwarding = FORWARDING_WORDS[match?.[2] ?? ""];
  if (match === null || forwarding === undefined) throw unreadable(line);
  const { address, port } = readAddressPort(match[1] ?? "", line);
  const real = { key: realServerKey(address, port), address, port, weight: Number(match[3]), forwarding };
  return { real, active: Number(match[4]), inactive: Number(match[5]) };
}

function readMark(text: string, line: string): number {
  if (!/^[0-9A-F]{8}$/.test(text)) throw unreadable(line);
  return Number.parseInt(text, 16);
}

const HEX_IPV4 = /^[0-9A-F]{8}:[0-9A-F]{4}$/;
const HEX_IPV6 = /^\[([0-9a-f:.]+)\]:([0-9A-F]{4})$/;

function readAddressPort(text: string, line: string): { address: IPAddress; port: number } {
  if (HEX_IPV4.test(text)) {
    const bits = Number.parseInt(text.slice(0, 8), 16);
    const dotted = `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
    // Four numbers below 256 without leading zeros are canonical; parsing them again takes half the time of a row.
    return { address: dotted as IPAddress, port: Number.parseInt(text.slice(9), 16) };
  }
  const match = HEX_IPV6.exec(text);
  const address = parseAddress(match?.[1] ?? "");
  if (match === null || address === undefined) throw unreadable(line);
  return { address, port: Number.parseInt(match[2] ?? "", 16) };
}

function unreadable(line: string): TableError {
  return new TableError(`Cannot read a line of /proc/net/ip_vs: "${line}"`);
}
