import { readFile } from "node:fs/promises";
import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { familyOf } from "../../model/address.ts";
import {
  parseVirtualServerKey,
  type RealServerKey,
  type VirtualServer,
  type VirtualServerKey,
} from "../../model/ipvs.ts";
import { RealServers } from "../../model/real-servers.ts";
import type { Connections, ServerState } from "../kernel.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Message } from "../netlink/message.ts";
import type { Answer, NetlinkSocket } from "../netlink/socket.ts";
import {
  type DecodedReal,
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
import { TableError, tableRows } from "./table.ts";

/** Virtual servers decoded before the event loop has its turn: with ten real servers each about 2 ms of work. */
const SLICE = 200;

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

  /** All virtual servers with their real servers, and how many others there are that no key can name. */
  async all(): Promise<{ readonly servers: ReadonlyMap<VirtualServerKey, ServerState>; readonly unnamed: number }> {
    const operation = "list virtual servers";
    const family = await this.probe();
    const messages = await this.#dumps.dump(operation, (writer) => encodeGetServers(writer, family));
    const { servers, unnamed } = await decodeServers(operation, messages);
    this.#total = servers.size + unnamed;
    return { servers: await this.#withReals(servers), unnamed };
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

  async #find(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, VirtualServer>> {
    const operation = "look up virtual servers";
    const family = await this.#familyNumber();
    const answers = await this.#commands.request(operation, [...keys], (writer, key) =>
      encodeGetServer(writer, family, parseVirtualServerKey(key)),
    );
    // ESRCH: there is none.
    const found = answers.filter((answer) => answer.ok || answer.errno !== "ESRCH");
    const messages = found.flatMap((answer) => repliesTo(operation, answer));
    return (await decodeServers(operation, messages)).servers;
  }

  async #withReals(servers: ReadonlyMap<VirtualServerKey, VirtualServer>): Promise<Map<VirtualServerKey, ServerState>> {
    const reals = await this.#reals(servers);
    const states = new Map<VirtualServerKey, ServerState>();
    for (const [key, server] of servers) {
      states.set(key, { server, reals: RealServers.of((reals.get(key) ?? []).map(({ real }) => real)) });
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

  /**
   * A row is one virtual server at one moment, whole. But the file is read in parts, each starting at a row's number,
   * so that a change by others in between can hide a row, which then is dumped, or show it twice, which does no harm.
   * All are dumped that come behind a line that cannot be read, or if there is no file (an odd /proc mount).
   */
  async #readTable(
    wanted: ReadonlyMap<VirtualServerKey, unknown>,
    reals: Map<VirtualServerKey, readonly DecodedReal[]>,
  ): Promise<void> {
    const table = await readFile(this.#tablePath).catch(() => Buffer.alloc(0));
    let rows = 0;
    try {
      for (const { key, reals: found } of tableRows(table)) {
        if (key !== undefined && wanted.has(key)) reals.set(key, found);
        rows += 1;
        if (rows % SLICE === 0) await yieldToEventLoop();
      }
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
    }
  }

  async #dumpReals(server: VirtualServer): Promise<readonly DecodedReal[]> {
    const operation = "list real servers";
    const family = await this.#familyNumber();
    const messages = await this.#dumps.dump(operation, (writer) => encodeGetReals(writer, family, server));
    const addressFamily = familyOf(server.address);
    return messages.map((message) => {
      const real = decodeReal(message, addressFamily);
      if (real === undefined) throw new NetlinkError(operation, "EBADMSG", "a real server cannot be read");
      return real;
    });
  }

  async #familyNumber(): Promise<number> {
    return this.#family ?? this.probe();
  }
}

function repliesTo(operation: string, answer: Answer | undefined): readonly Message[] {
  if (answer === undefined || answer.ok) return answer?.replies ?? [];
  throw new NetlinkError(operation, answer.errno, answer.text);
}

async function decodeServers(operation: string, messages: readonly Message[]) {
  const servers = new Map<VirtualServerKey, VirtualServer>();
  let unnamed = 0;
  for (const [index, message] of messages.entries()) {
    const decoded = decodeServer(message);
    if (decoded.kind === "malformed") throw new NetlinkError(operation, "EBADMSG", "a virtual server cannot be read");
    if (decoded.kind === "unnamed") unnamed += 1;
    else servers.set(decoded.server.key, decoded.server);
    if (index % SLICE === SLICE - 1) await yieldToEventLoop();
  }
  return { servers, unnamed };
}
