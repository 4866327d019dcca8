import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { familyOf } from "../../model/address.ts";
import {
  parseVirtualServerKey,
  type RealServerKey,
  type VirtualServer,
  type VirtualServerKey,
} from "../../model/ipvs.ts";
import { RealServers } from "../../model/real-servers.ts";
import type { Connections, Observed, ServerState } from "../kernel.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Message } from "../netlink/message.ts";
import type { Answer, NetlinkSocket } from "../netlink/socket.ts";
import {
  type DecodedReal,
  type DecodedServer,
  decodeFamily,
  decodeReal,
  decodeServer,
  encodeGetFamily,
  encodeGetReals,
  encodeGetServer,
  encodeGetServers,
  encodeServerOperation,
  type ServerOperation,
} from "./codec.ts";
import { TableError, type TableRow, tableRows } from "./table.ts";

/** Virtual servers decoded before the event loop has its turn. */
const SLICE = 200;
/** Virtual and real servers of the table that are read before the event loop has its turn: half a millisecond. */
const TABLE_SLICE = 250;
/** The kernel gives a page of its table a read, for which it walks to where the last one ended. */
const TABLE_BYTES = 16_384;

/**
 * Real servers are read from /proc/net/ip_vs in one go if at least this share of all virtual servers is asked for, else
 * by a dump for each. A dump is three system calls and a turn of the event loop, the file is read whole, 4 KB a call:
 * 999 of 10,000 servers took 1,009 ms by dumps and 1,000 of them 531 ms by the file (User Mode Linux guest).
 */
const TABLE_SHARE = 0.1;

export interface IpvsClientOptions {
  /** Generic netlink, for requests. */
  readonly commands: NetlinkSocket;
  /** Generic netlink, for dumps. */
  readonly dumps: NetlinkSocket;
  /** The kernel's own listing. */
  readonly tablePath?: string;
}

/** Some of the virtual servers; of those that no key can name, how many are told with the first part. */
export type ServersPart = Pick<Observed, "servers" | "unnamedServers">;

/** Virtual and real servers of this network namespace. */
export class IpvsClient {
  readonly #commands: NetlinkSocket;
  readonly #dumps: NetlinkSocket;
  readonly #tablePath: string;
  #family: number | undefined;
  /** How many virtual servers there are, as far as we know: listed once, and counted since. */
  #total = Number.POSITIVE_INFINITY;

  constructor(options: IpvsClientOptions) {
    this.#commands = options.commands;
    this.#dumps = options.dumps;
    this.#tablePath = options.tablePath ?? "/proc/net/ip_vs";
  }

  /** Asks anew for the number of the family, which changes when the module is loaded again. Rejects without ip_vs. */
  async probe(): Promise<number> {
    const operation = "find IPVS in this kernel";
    const [answer] = await this.#commands.request(operation, [undefined], encodeGetFamily);
    if (answer?.ok === false && answer.errno === "ENOENT") {
      throw new NetlinkError(operation, "ENOENT", "the module ip_vs is not loaded, run: modprobe ip_vs");
    }
    const [message] = repliesTo(operation, answer);
    this.#family = message === undefined ? undefined : decodeFamily(message);
    if (this.#family === undefined) throw new NetlinkError(operation, "EBADMSG", "the family has no number");
    return this.#family;
  }

  /** In order, one answer each. */
  async apply(operations: readonly ServerOperation[]): Promise<readonly Answer[]> {
    const family = await this.#familyNumber();
    const answers = await this.#commands.request("change virtual servers", operations, (writer, operation) =>
      encodeServerOperation(writer, family, operation),
    );
    operations.forEach(({ kind }, index) => {
      if (answers[index]?.ok !== true) return;
      if (kind === "add-virtual-server") this.#total++;
      else if (kind === "delete-virtual-server") this.#total--;
    });
    return answers;
  }

  /**
   * All virtual servers with their real servers, part by part, and how many others there are that no key can name. The
   * kernel counts through its list, so that one that goes meanwhile may hide another.
   */
  async *all(): AsyncGenerator<ServersPart> {
    const { servers, unnamedServers } = await this.#list();
    yield { servers: new Map(), unnamedServers };
    for await (const rows of this.#table()) {
      const part = new Map<VirtualServerKey, ServerState>();
      for (const { key, reals } of rows) {
        const server = key && servers.get(key);
        if (server === undefined) continue;
        servers.delete(server.key);
        part.set(server.key, stateOf(server, reals));
      }
      yield { servers: part, unnamedServers: 0 };
    }
    for (const [key, server] of servers) {
      const state = stateOf(server, await this.#dumpReals(server));
      yield { servers: new Map([[key, state]]), unnamedServers: 0 };
    }
  }

  /** Of the virtual servers of these keys those that exist, with their real servers. */
  async some(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, ServerState>> {
    return this.#withReals(await this.#find(keys));
  }

  /** What the real servers of these virtual servers carry; one that is gone is left out. */
  async connections(
    keys: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, Connections>>> {
    const result = new Map<VirtualServerKey, ReadonlyMap<RealServerKey, Connections>>();
    for (const [key, reals] of await this.#reals(await this.#find(keys))) {
      result.set(key, new Map(reals.map(({ real, active, inactive }) => [real.key, { active, inactive }])));
      if (result.size % SLICE === 0) await yieldToEventLoop();
    }
    return result;
  }

  async #list(): Promise<{ readonly servers: Map<VirtualServerKey, VirtualServer>; readonly unnamedServers: number }> {
    const family = await this.probe();
    const decoded = await this.#dumps.dumpAs(
      "list virtual servers",
      (writer) => encodeGetServers(writer, family),
      decodeServer,
    );
    this.#total = decoded.length;
    const servers = named(decoded);
    return { servers, unnamedServers: decoded.length - servers.size };
  }

  async #find(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, VirtualServer>> {
    const operation = "look up virtual servers";
    const family = await this.#familyNumber();
    const answers = await this.#commands.request(operation, [...keys], (writer, key) =>
      encodeGetServer(writer, family, parseVirtualServerKey(key)),
    );
    // ESRCH: there is none.
    const found = answers.filter((answer) => answer.ok || answer.errno !== "ESRCH");
    const decoded = found.flatMap((answer) => repliesTo(operation, answer)).map(decodeServer);
    if (decoded.includes(undefined)) throw new NetlinkError(operation, "EBADMSG", "a virtual server cannot be read");
    return named(decoded);
  }

  async #withReals(servers: ReadonlyMap<VirtualServerKey, VirtualServer>): Promise<Map<VirtualServerKey, ServerState>> {
    const reals = await this.#reals(servers);
    const states = new Map<VirtualServerKey, ServerState>();
    for (const [key, server] of servers) {
      states.set(key, stateOf(server, reals.get(key) ?? []));
      if (states.size % SLICE === 0) await yieldToEventLoop();
    }
    return states;
  }

  /** The real servers of each: out of the table if they are many, and by a dump where the table does not have them. */
  async #reals(
    servers: ReadonlyMap<VirtualServerKey, VirtualServer>,
  ): Promise<ReadonlyMap<VirtualServerKey, readonly DecodedReal[]>> {
    const reals = new Map<VirtualServerKey, readonly DecodedReal[]>();
    if (servers.size >= this.#total * TABLE_SHARE) await this.#readTable(servers, reals);
    for (const [key, server] of servers) if (!reals.has(key)) reals.set(key, await this.#dumpReals(server));
    return reals;
  }

  async #readTable(
    wanted: ReadonlyMap<VirtualServerKey, unknown>,
    reals: Map<VirtualServerKey, readonly DecodedReal[]>,
  ): Promise<void> {
    for await (const rows of this.#table())
      for (const { key, reals: found } of rows) if (key !== undefined && wanted.has(key)) reals.set(key, found);
  }

  /**
   * The table, part by part, of which each is read when it is asked for. A row is one virtual server at one moment, whole.
   * But the kernel begins each part at a row's number, so that a change in between can hide a row, which then is to be
   * dumped, or show it twice, which does no harm. It ends before a line that cannot be read, and at once if there is
   * no file (an odd /proc mount).
   */
  async *#table(): AsyncGenerator<readonly TableRow[]> {
    let part: TableRow[] = [];
    let size = 0;
    try {
      for (const row of tableRows(pieces(this.#tablePath))) {
        part.push(row);
        size += 1 + row.reals.length;
        if (size < TABLE_SLICE) continue;
        yield part;
        part = [];
        size = 0;
        await yieldToEventLoop();
      }
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
    }
    yield part;
  }

  async #dumpReals(server: VirtualServer): Promise<readonly DecodedReal[]> {
    const operation = "list real servers";
    const family = await this.#familyNumber();
    const addressFamily = familyOf(server.address);
    return this.#dumps.dumpAs(
      operation,
      (writer) => encodeGetReals(writer, family, server),
      (message) => decodeReal(message, addressFamily),
    );
  }

  async #familyNumber(): Promise<number> {
    return this.#family ?? this.probe();
  }
}

function repliesTo(operation: string, answer: Answer | undefined): readonly Message[] {
  if (answer === undefined || answer.ok) return answer?.replies ?? [];
  throw new NetlinkError(operation, answer.errno, answer.text);
}

/** A file piece by piece, in one buffer: a piece is gone when the next is asked for. It ends where it cannot be read. */
function* pieces(path: string): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(TABLE_BYTES);
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer))
      yield buffer.subarray(0, length);
  } catch {
    // Nobody is missed: whatever the table does not show is dumped.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function named(decoded: readonly (DecodedServer | undefined)[]): Map<VirtualServerKey, VirtualServer> {
  const servers = new Map<VirtualServerKey, VirtualServer>();
  for (const each of decoded) if (each?.kind === "server") servers.set(each.server.key, each.server);
  return servers;
}

function stateOf(server: VirtualServer, reals: readonly DecodedReal[]): ServerState {
  return { server, reals: RealServers.of(reals.map(({ real }) => real)) };
}
