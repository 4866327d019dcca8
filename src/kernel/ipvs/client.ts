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
import type { NetlinkAnswer, NetlinkSocket } from "../netlink/socket.ts";
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
import { filePieces, TableError, type TableRow, tableRows } from "./table.ts";

/**
 * Number of virtual servers in one part if each needs a dump of its real servers: 60-80 us each (User Mode Linux
 * guest).
 */
const DUMPS_PER_PART = 50;
/**
 * From this number of virtual servers on, the dump uses long datagrams; so does the first dump, for which nothing
 * waits. For each datagram the kernel walks its list up to the end of the previous datagram, and the addon reads 32
 * datagrams in one turn of the event loop. Below this number, decoding takes most of a turn, and short datagrams make
 * the turn shorter. Above it, the walks take most of a turn, and their time does not depend on the length of the
 * datagrams.
 */
const MANY = 20_000;
/** Number of virtual servers that are decoded in one turn of the event loop. */
const SLICE = 200;
/** Number of virtual and real servers of the table that are read in one turn of the event loop: about a millisecond. */
const TABLE_SLICE = 500;

/**
 * Real servers are read from /proc/net/ip_vs in one pass if the request names at least this share of all virtual
 * servers, else by one dump for each. A dump takes three system calls and a turn of the event loop; the file is read as
 * a whole, 4 KB a call: 999 of 10,000 servers took 1,009 ms by dumps, 1,000 of them took 531 ms by the file (User Mode
 * Linux guest).
 */
const TABLE_SHARE = 0.1;

export interface IpvsClientOptions {
  /** Generic netlink, for requests. */
  readonly commands: NetlinkSocket;
  /** Generic netlink, for dumps of the real servers of one virtual server. */
  readonly dumps: NetlinkSocket;
  /** Generic netlink, for the dump of all virtual servers: it takes long, and a sync must not wait for it. */
  readonly lists: NetlinkSocket;
  /** Generic netlink with longer datagrams, for the first dump of all virtual servers and for very many of them. */
  readonly longLists: NetlinkSocket;
  /** Path of the kernel's own list of virtual servers; by default /proc/net/ip_vs. */
  readonly tablePath?: string;
}

/** Some of the virtual servers; the first part counts those that no key can name. */
export type ServersPart = Pick<Observed, "servers" | "unnamedServers">;

/** Reads and changes the virtual and real servers of this network namespace. */
export class IpvsClient {
  readonly #commands: NetlinkSocket;
  readonly #dumps: NetlinkSocket;
  readonly #lists: NetlinkSocket;
  readonly #longLists: NetlinkSocket;
  readonly #tablePath: string;
  #family: number | undefined;
  /** Number of virtual servers: counted at each list, and adjusted at each change of the agent. */
  #total = Number.POSITIVE_INFINITY;

  constructor(options: IpvsClientOptions) {
    this.#commands = options.commands;
    this.#dumps = options.dumps;
    this.#lists = options.lists;
    this.#longLists = options.longLists;
    this.#tablePath = options.tablePath ?? "/proc/net/ip_vs";
  }

  /**
   * Reads the number of the generic netlink family again, because it changes when the module is reloaded. Rejects if
   * the kernel has no ip_vs.
   */
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

  /**
   * Applies the operations in order and returns one answer for each. Rejects if ip_vs was unloaded meanwhile, because
   * it is then unknown which of them took effect.
   */
  async apply(operations: readonly ServerOperation[]): Promise<readonly NetlinkAnswer[]> {
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
   * Returns all virtual servers with their real servers, part by part; the first part counts the virtual servers that
   * no key can name. A dump lists the virtual servers, because it shows only this network namespace. Their real servers
   * are read from the table if it has them, else by a dump: the table hides rows if another namespace has virtual
   * servers too (see `#table`). A virtual server of any namespace that is deleted during the dump can hide another one
   * from the dump; that one is missing from the result only if the table hides it too.
   */
  async *all(): AsyncGenerator<ServersPart> {
    await this.probe();
    const { servers, unnamedServers } = await this.#list();
    yield { servers: new Map(), unnamedServers };
    yield* this.#fromTable(servers);
    const rest = [...servers.keys()];
    for (let from = 0; from < rest.length; from += DUMPS_PER_PART) {
      // These are in the dump and not in the table: some may be deleted by now.
      const found = await this.#find(new Set(rest.slice(from, from + DUMPS_PER_PART)));
      const states = new Map<VirtualServerKey, ServerState>();
      for (const [key, server] of found) states.set(key, stateOf(server, await this.#dumpReals(server)));
      yield { servers: states, unnamedServers: 0 };
    }
  }

  /** Returns the named virtual servers that exist, with their real servers. */
  async some(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, ServerState>> {
    return this.#withReals(await this.#find(keys));
  }

  /**
   * Returns the connections of the real servers of these virtual servers; a virtual server that does not exist is left
   * out.
   */
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
   * Returns those of these virtual servers that are in the table, and removes them from `servers`. A virtual server
   * that is only in the table is new, or the dump has missed it, so it is read by name.
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
    // ESRCH: this virtual server does not exist.
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

  /**
   * Returns the real servers of each virtual server: from the table if the request names many, and by a dump for those
   * that the table does not show.
   */
  async #reals(
    servers: ReadonlyMap<VirtualServerKey, VirtualServer>,
  ): Promise<ReadonlyMap<VirtualServerKey, readonly DecodedReal[]>> {
    const reals = new Map<VirtualServerKey, readonly DecodedReal[]>();
    if (servers.size >= this.#total * TABLE_SHARE) await this.#readTable(servers, reals);
    for (const [key, server] of servers) if (!reals.has(key)) reals.set(key, await this.#dumpReals(server));
    return reals;
  }

  /**
   * Fills `found` from the table. It misses a virtual server that a concurrent change hides, and those near or behind a
   * line that cannot be read.
   */
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
   * Returns the rows of the table, part by part; each part is read when the caller requests it. A row is the complete
   * state of one virtual server at one moment, but rows may be missing. The kernel starts each page of 4 KB at a row
   * number. Up to Linux 6.19 that number counts the rows of all network namespaces, so the kernel skips rows of this
   * one: of 600 virtual servers beside 600 of another namespace, 307 were shown. A concurrent change can also hide a
   * row or show it twice. Therefore a row in the table is correct, and a missing row proves nothing. Rejects with a
   * TableError at a line that cannot be read, and if there is no table.
   */
  async *#table(): AsyncGenerator<readonly TableRow[]> {
    let part: TableRow[] = [];
    let size = 0;
    for (const row of tableRows(filePieces(this.#tablePath))) {
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
   * Rejects if the module was reloaded. ENOENT means that the kernel lacks the scheduler, or that the generic netlink
   * family does not exist any more; a reloaded module has another family number.
   */
  async #checkLoaded(family: number): Promise<void> {
    if ((await this.probe()) === family) return;
    throw new NetlinkError("change virtual servers", "ENOENT", "the module ip_vs was loaded again meanwhile");
  }

  async #familyNumber(): Promise<number> {
    return this.#family ?? this.probe();
  }
}

function repliesTo(operation: string, answer: NetlinkAnswer | undefined): readonly Message[] {
  if (answer === undefined || answer.ok) return answer?.replies ?? [];
  throw new NetlinkError(operation, answer.errno, answer.text);
}

function named(decoded: readonly (DecodedServer | undefined)[]): Map<VirtualServerKey, VirtualServer> {
  const servers = new Map<VirtualServerKey, VirtualServer>();
  for (const each of decoded) if (each?.kind === "server") servers.set(each.server.key, each.server);
  return servers;
}

function stateOf(server: VirtualServer, reals: readonly DecodedReal[]): ServerState {
  return { server, reals: RealServers.of(reals.map(({ real }) => real)) };
}
