import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import type { RealServerKey, VirtualServer, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import type { ServerTraffic, TrafficCounts } from "../../model/kernel/traffic.ts";
import type { ConnectionCounts, Observed } from "../kernel.ts";
import type { NetlinkAnswer } from "../netlink/socket.ts";
import type { DecodedReal, ServerOperation } from "./codec.ts";
import { IpvsRequests, type IpvsSockets, named } from "./requests.ts";
import { TableError, tableParts } from "./table.ts";

/**
 * Number of virtual servers in one part if each needs a dump of its real servers: 60-80 us each (User Mode Linux
 * guest).
 */
const DUMPS_PER_PART = 50;
/**
 * From this number of virtual servers on, the dump uses long datagrams; so does the first dump, for which nothing
 * waits. For each datagram the kernel walks its list up to the end of the previous datagram, and the addon reads 32
 * datagrams in one turn of the event loop. Below this number, decoding takes most of a turn, and short datagrams make
 * the turn shorter. Above it, the walks take most of a turn, whatever the length of the datagrams, and long datagrams
 * need fewer walks.
 */
const MANY = 20_000;
/** Number of virtual servers that are decoded in one turn of the event loop. */
const SLICE = 200;

/**
 * Real servers are read from /proc/net/ip_vs in one pass if the request names at least this share of all virtual
 * servers, else by one dump for each. A dump takes three system calls and a turn of the event loop; the file is read as
 * a whole, 4 KB a call: 999 of 10,000 servers took 1,009 ms by dumps, 1,000 of them took 531 ms by the file (User Mode
 * Linux guest).
 */
const TABLE_SHARE = 0.1;

export interface IpvsClientOptions extends IpvsSockets {
  /** Path of the kernel's own list of virtual servers; by default /proc/net/ip_vs. */
  readonly tablePath?: string;
}

/** Some of the virtual servers; the first part counts those that no key can name. */
export type ServersPart = Pick<Observed, "servers" | "unnamedServers">;

/** Reads and changes the virtual and real servers of this network namespace. */
export class IpvsClient {
  readonly #requests: IpvsRequests;
  readonly #tablePath: string;
  /** Number of virtual servers: counted at each list, and adjusted at each change of the agent. */
  #total = Number.POSITIVE_INFINITY;

  constructor(options: IpvsClientOptions) {
    this.#requests = new IpvsRequests(options);
    this.#tablePath = options.tablePath ?? "/proc/net/ip_vs";
  }

  /** Returns the number of the generic netlink family; rejects if the kernel has no ip_vs. */
  probe(): Promise<number> {
    return this.#requests.probe();
  }

  /** Applies the operations in order and returns one answer for each; rejects as `IpvsRequests.change`. */
  async apply(operations: readonly ServerOperation[]): Promise<readonly NetlinkAnswer[]> {
    const answers = await this.#requests.change(operations);
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
   * servers too (see `tableParts`). A virtual server of any namespace that is deleted during the dump can hide another
   * one from the dump; that one is missing from the result only if the table hides it too.
   */
  async *all(): AsyncGenerator<ServersPart> {
    await this.probe();
    const { servers, unnamedServers } = await this.#list();
    yield { servers: new Map(), unnamedServers };
    yield* this.#fromTable(servers);
    const rest = [...servers.keys()];
    for (let from = 0; from < rest.length; from += DUMPS_PER_PART) {
      // These are in the dump and not in the table: some may be deleted by now.
      const found = await this.#requests.find(new Set(rest.slice(from, from + DUMPS_PER_PART)));
      const states = new Map<VirtualServerKey, ServerState>();
      for (const [key, server] of found) states.set(key, stateOf(server, await this.#requests.reals(server)));
      yield { servers: states, unnamedServers: 0 };
    }
  }

  /** Returns the named virtual servers that exist, with their real servers. */
  async some(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, ServerState>> {
    return this.#withReals(await this.#requests.find(keys));
  }

  /**
   * Returns the connections of the real servers of these virtual servers; a virtual server that does not exist is left
   * out.
   */
  async connections(
    keys: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>> {
    const result = new Map<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>();
    for (const [key, reals] of await this.#reals(await this.#requests.find(keys))) {
      result.set(key, new Map(reals.map(({ real, active, inactive }) => [real.key, { active, inactive }])));
      if (result.size % SLICE === 0) await yieldToEventLoop();
    }
    return result;
  }

  /** Returns those of the named virtual servers that exist: one short request each. */
  async present(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlySet<VirtualServerKey>> {
    return new Set((await this.#requests.find(keys)).keys());
  }

  /**
   * Returns the named virtual servers that exist, with the traffic of their real servers: one dump for each, so it is
   * for the virtual servers of one Service.
   */
  async traffic(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, ServerTraffic>> {
    const result = new Map<VirtualServerKey, ServerTraffic>();
    for (const [key, server] of await this.#requests.find(keys))
      result.set(key, { server, reals: await this.#requests.traffic(server) });
    return result;
  }

  /** Returns the counters of the named virtual servers that exist. */
  statistics(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, TrafficCounts>> {
    return this.#requests.statistics(keys);
  }

  /**
   * Returns those of these virtual servers that are in the table, and removes them from `servers`. A virtual server
   * that is only in the table is new, or the dump has missed it, so it is read by name.
   */
  async *#fromTable(servers: Map<VirtualServerKey, VirtualServer>): AsyncGenerator<ServersPart> {
    try {
      for await (const rows of tableParts(this.#tablePath)) {
        const named = rows.filter(({ keys }) => keys.length === 1);
        const missed = named.flatMap(({ keys }) => keys).filter((key) => !servers.has(key));
        for (const [key, server] of await this.#requests.find(new Set(missed))) servers.set(key, server);
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
    const decoded = await this.#requests.list(this.#total >= MANY);
    this.#total = decoded.length;
    return { servers: named(decoded), unnamedServers: decoded.filter(({ kind }) => kind === "unnamed").length };
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
    for (const [key, server] of servers) if (!reals.has(key)) reals.set(key, await this.#requests.reals(server));
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
      for await (const rows of tableParts(this.#tablePath))
        for (const { keys, reals } of rows)
          for (const key of keys) if (keys.length === 1 && wanted.has(key)) found.set(key, reals);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
    }
  }
}

function stateOf(server: VirtualServer, reals: readonly DecodedReal[]): ServerState {
  return { server, reals: RealServers.of(reals.map(({ real }) => real)) };
}
