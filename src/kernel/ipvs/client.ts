import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { familyOf } from "../../model/address.ts";
import {
  parseVirtualServerKey,
  type RealServerKey,
  type VirtualServer,
  type VirtualServerKey,
} from "../../model/kernel/ipvs.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import type { Connections, Observed } from "../kernel.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Message } from "../netlink/message.ts";
import { DEFAULT_REPLY, NO_REPLY } from "../netlink/receive-buffer.ts";
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

/** Virtual servers in one part whose real servers are dumped one by one: 60-80 us each (User Mode Linux guest). */
const DUMPS_PER_PART = 50;
/**
 * From so many virtual servers on, and the first time, when nobody waits, they are dumped in long datagrams. For each the
 * kernel walks its list up to where the last one ended, and the addon takes 32 of them in one turn of the event loop. Below,
 * what is decoded in one turn counts, and short datagrams block for shorter; beyond, the walks do, as long in either.
 */
const MANY = 20_000;
/** Virtual servers decoded before the event loop has its turn. */
const SLICE = 200;
/** Virtual and real servers of the table that are read before the event loop has its turn: about a millisecond. */
const TABLE_SLICE = 500;
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
  /** Generic netlink, for dumps of the real servers of one virtual server. */
  readonly dumps: NetlinkSocket;
  /** Generic netlink, for the dump of all virtual servers: it takes long, and no flush may wait for it. */
  readonly lists: NetlinkSocket;
  /** The same with longer datagrams, for the first dump and where there are very many. */
  readonly longLists: NetlinkSocket;
  /** The kernel's own listing. */
  readonly tablePath?: string;
}

/** Some of the virtual servers; of those that no key can name, how many are told with the first part. */
export type ServersPart = Pick<Observed, "servers" | "unnamedServers">;

/** Virtual and real servers of this network namespace. */
export class IpvsClient {
  readonly #commands: NetlinkSocket;
  readonly #dumps: NetlinkSocket;
  readonly #lists: NetlinkSocket;
  readonly #longLists: NetlinkSocket;
  readonly #tablePath: string;
  #family: number | undefined;
  /** How many virtual servers there are, as far as we know: listed once, and counted since. */
  #total = Number.POSITIVE_INFINITY;

  constructor(options: IpvsClientOptions) {
    this.#commands = options.commands;
    this.#dumps = options.dumps;
    this.#lists = options.lists;
    this.#longLists = options.longLists;
    this.#tablePath = options.tablePath ?? "/proc/net/ip_vs";
  }

  /** Asks anew for the number of the family, which changes when the module is loaded again. Rejects without ip_vs. */
  async probe(): Promise<number> {
    const operation = "find IPVS in this kernel";
    this.#family = undefined;
    const [answer] = await this.#commands.request(operation, [undefined], encodeGetFamily, DEFAULT_REPLY);
    if (answer?.ok === false && answer.errno === "ENOENT") {
      throw new NetlinkError(operation, "ENOENT", "the module ip_vs is not loaded, run: modprobe ip_vs");
    }
    const [message] = repliesTo(operation, answer);
    this.#family = message === undefined ? undefined : decodeFamily(message);
    if (this.#family === undefined) throw new NetlinkError(operation, "EBADMSG", "the family has no number");
    return this.#family;
  }

  /** In order, one answer each. Rejects when ip_vs was unloaded meanwhile, as nobody knows what of it was done. */
  async apply(operations: readonly ServerOperation[]): Promise<readonly Answer[]> {
    const family = await this.#familyNumber();
    const answers = await this.#commands.request(
      "change virtual servers",
      operations,
      (writer, operation) => encodeServerOperation(writer, family, operation),
      NO_REPLY,
    );
    if (answers.some((answer) => !answer.ok && answer.errno === "ENOENT")) await this.#checkLoaded(family);
    operations.forEach(({ kind }, index) => {
      if (answers[index]?.ok !== true) return;
      if (kind === "add-virtual-server") this.#total++;
      else if (kind === "delete-virtual-server") this.#total--;
    });
    return answers;
  }

  /**
   * All virtual servers with their real servers, part by part, and with the first part how many others there are that no
   * key can name. Which virtual servers exist says a dump, which shows this network namespace alone. Their real servers are
   * read from the table where it has them, and dumped where not: the table hides rows when another namespace has virtual
   * servers too (see `#table`). A virtual server of any namespace that goes during the dump can hide another one from it; that
   * is missed only if the table hides it, too.
   */
  async *all(): AsyncGenerator<ServersPart> {
    await this.probe();
    const { servers, unnamedServers } = await this.#list();
    yield { servers: new Map(), unnamedServers };
    yield* this.#fromTable(servers);
    const rest = [...servers.keys()];
    for (let from = 0; from < rest.length; from += DUMPS_PER_PART) {
      // In the dump and not in the table: some may have gone since.
      const found = await this.#find(new Set(rest.slice(from, from + DUMPS_PER_PART)));
      const states = new Map<VirtualServerKey, ServerState>();
      for (const [key, server] of found) states.set(key, stateOf(server, await this.#dumpReals(server)));
      yield { servers: states, unnamedServers: 0 };
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

  /**
   * Those of these virtual servers that the table has, which are taken away from them. One that it has besides is new, or the
   * dump has missed it; the kernel is asked for it by name.
   */
  async *#fromTable(servers: Map<VirtualServerKey, VirtualServer>): AsyncGenerator<ServersPart> {
    try {
      for await (const rows of this.#table()) {
        const named = rows.filter(({ keys }) => keys.length === 1);
        const missed = named.flatMap(({ keys }) => keys).filter((key) => !servers.has(key));
        for (const [key, server] of await this.#find(new Set(missed))) servers.set(key, server);
        const states = new Map<VirtualServerKey, ServerState>();
        for (const { keys, reals } of named) {
          for (const key of keys) {
            const server = servers.get(key);
            if (server !== undefined) states.set(key, stateOf(server, reals));
            servers.delete(key);
          }
        }
        yield { servers: states, unnamedServers: 0 };
      }
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
    }
  }

  async #list(): Promise<{ servers: Map<VirtualServerKey, VirtualServer>; unnamedServers: number }> {
    const family = await this.#familyNumber();
    const servers = new Map<VirtualServerKey, VirtualServer>();
    const socket = this.#total < MANY ? this.#lists : this.#longLists;
    const decoded = await socket.dumpAs(
      "list virtual servers",
      (writer) => encodeGetServers(writer, family),
      decodeServer,
    );
    for (const each of decoded) if (each.kind === "server") servers.set(each.server.key, each.server);
    this.#total = decoded.length;
    return { servers, unnamedServers: decoded.filter(({ kind }) => kind === "unnamed").length };
  }

  async #find(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, VirtualServer>> {
    const operation = "look up virtual servers";
    const family = await this.#familyNumber();
    const answers = await this.#commands.request(
      operation,
      [...keys],
      (writer, key) => encodeGetServer(writer, family, parseVirtualServerKey(key)),
      DEFAULT_REPLY,
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

  /** Those are not found that a change in between hides, or that come near to a line that cannot be read, or behind it. */
  async #readTable(
    wanted: ReadonlyMap<VirtualServerKey, unknown>,
    found: Map<VirtualServerKey, readonly DecodedReal[]>,
  ): Promise<void> {
    try {
      for await (const rows of this.#table())
        for (const { keys, reals } of rows)
          for (const key of keys) if (keys.length === 1 && wanted.has(key)) found.set(key, reals);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
    }
  }

  /**
   * The table, part by part, each read when it is asked for. A row is one virtual server at one moment, whole; but rows may
   * be missing. The kernel begins each page of 4 KB at a row's number, and up to Linux 6.19 it counts the rows of all network
   * namespaces there, and skips so many of ours: of 600 virtual servers beside 600 of another namespace 307 were shown. A
   * change in between can hide a row, too, or show it twice. So what the table has is so, and what it lacks proves nothing.
   * Rejects with a TableError at a line that cannot be read, and where there is no table.
   */
  async *#table(): AsyncGenerator<readonly TableRow[]> {
    let part: TableRow[] = [];
    let size = 0;
    for (const row of tableRows(pieces(this.#tablePath))) {
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

  /**
   * ENOENT refuses a scheduler that the kernel lacks, and all requests to a family that is gone. Loaded again, the module has
   * another number.
   */
  async #checkLoaded(family: number): Promise<void> {
    if ((await this.probe()) === family) return;
    throw new NetlinkError("change virtual servers", "ENOENT", "the module ip_vs was loaded again meanwhile");
  }

  async #familyNumber(): Promise<number> {
    return this.#family ?? this.probe();
  }
}

function repliesTo(operation: string, answer: Answer | undefined): readonly Message[] {
  if (answer === undefined || answer.ok) return answer?.replies ?? [];
  throw new NetlinkError(operation, answer.errno, answer.text);
}

/** A file piece by piece, in one buffer: a piece is gone when the next is asked for. Throws a TableError if it cannot be read. */
function* pieces(path: string): Generator<Buffer> {
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

function named(decoded: readonly (DecodedServer | undefined)[]): Map<VirtualServerKey, VirtualServer> {
  const servers = new Map<VirtualServerKey, VirtualServer>();
  for (const each of decoded) if (each?.kind === "server") servers.set(each.server.key, each.server);
  return servers;
}

function stateOf(server: VirtualServer, reals: readonly DecodedReal[]): ServerState {
  return { server, reals: RealServers.of(reals.map(({ real }) => real)) };
}
