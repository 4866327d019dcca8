import { familyOf } from "../../model/address.ts";
import { parseVirtualServerKey, type VirtualServer, type VirtualServerKey } from "../../model/kernel/ipvs.ts";
import type { RealTraffic, TrafficCounts } from "../../model/kernel/traffic.ts";
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
import { decodeServerTraffic, decodeTraffic } from "./traffic-codec.ts";

export interface IpvsSockets {
  /** Generic netlink, for requests. */
  readonly commands: NetlinkSocket;
  /** Generic netlink, for dumps of the real servers of one virtual server. */
  readonly dumps: NetlinkSocket;
  /** Generic netlink, for the dump of all virtual servers: it takes long, and a sync must not wait for it. */
  readonly lists: NetlinkSocket;
  /** Generic netlink with longer datagrams, for the first dump of all virtual servers and for very many of them. */
  readonly longLists: NetlinkSocket;
  /** Generic netlink, for the counters of many virtual servers: no sync may wait for them. */
  readonly statistics: NetlinkSocket;
}

/**
 * The single requests and dumps of the IPVS protocol. Each rejects with a NetlinkError if the transport fails or the
 * kernel has no IPVS.
 */
export class IpvsRequests {
  readonly #sockets: IpvsSockets;
  #family: number | undefined;

  constructor(sockets: IpvsSockets) {
    this.#sockets = sockets;
  }

  /**
   * Reads the number of the generic netlink family again, because it changes when the module is reloaded. Rejects if
   * the kernel has no ip_vs.
   */
  async probe(): Promise<number> {
    const operation = "find IPVS in this kernel";
    this.#family = undefined;
    const [answer] = await this.#sockets.commands.request(operation, [undefined], encodeGetFamily, DEFAULT_REPLY);
    if (answer?.ok === false && answer.errno === "ENOENT") {
      throw new NetlinkError(operation, "ENOENT", "the module ip_vs is not loaded, run: modprobe ip_vs");
    }
    const [message] = repliesTo(operation, answer);
    this.#family = message === undefined ? undefined : decodeFamily(message);
    if (this.#family === undefined) throw new NetlinkError(operation, "EBADMSG", "the kernel sent no family number");
    return this.#family;
  }

  /**
   * Applies the operations in order and returns one answer for each. Rejects if ip_vs was unloaded meanwhile, because
   * it is then unknown which of them took effect.
   */
  async change(operations: readonly ServerOperation[]): Promise<readonly NetlinkAnswer[]> {
    const family = await this.#familyNumber();
    const answers = await this.#sockets.commands.request(
      "change virtual servers",
      operations,
      (writer, operation) => encodeServerOperation(writer, family, operation),
      NO_REPLY,
    );
    if (answers.some((answer) => !answer.ok && answer.errno === "ENOENT")) await this.#checkLoaded(family);
    return answers;
  }

  /**
   * Lists all virtual servers of this network namespace, in datagrams of normal size or in `long` ones. The list may
   * miss a virtual server if another one, of any network namespace, is deleted during the dump.
   */
  async list(long: boolean): Promise<readonly DecodedServer[]> {
    const family = await this.#familyNumber();
    const socket = long ? this.#sockets.longLists : this.#sockets.lists;
    return socket.dumpAs("list virtual servers", (writer) => encodeGetServers(writer, family), decodeServer);
  }

  /** Returns the counters of the named virtual servers that exist: one request each, which does not depend on their number. */
  async statistics(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, TrafficCounts>> {
    const operation = "read the traffic of virtual servers";
    const family = await this.#familyNumber();
    const answers = await this.#sockets.statistics.request(
      operation,
      [...keys],
      (writer, key) => encodeGetServer(writer, family, parseVirtualServerKey(key)),
      DEFAULT_REPLY,
    );
    const found = new Map<VirtualServerKey, TrafficCounts>();
    for (const message of answers.filter(isFound).flatMap((answer) => repliesTo(operation, answer))) {
      const traffic = decodeServerTraffic(message);
      if (traffic === undefined) throw new NetlinkError(operation, "EBADMSG", "a virtual server cannot be read");
      found.set(traffic.key, traffic.counts);
    }
    return found;
  }

  /** Returns the named virtual servers that exist. */
  async find(keys: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, VirtualServer>> {
    const operation = "look up virtual servers";
    const family = await this.#familyNumber();
    const answers = await this.#sockets.commands.request(
      operation,
      [...keys],
      (writer, key) => encodeGetServer(writer, family, parseVirtualServerKey(key)),
      DEFAULT_REPLY,
    );
    const decoded = answers
      .filter(isFound)
      .flatMap((answer) => repliesTo(operation, answer))
      .map(decodeServer);
    if (decoded.includes(undefined)) throw new NetlinkError(operation, "EBADMSG", "a virtual server cannot be read");
    return named(decoded);
  }

  /** Returns the real servers of a virtual server; none if it does not exist. */
  async reals(server: VirtualServer): Promise<readonly DecodedReal[]> {
    const operation = "list real servers";
    const family = await this.#familyNumber();
    const addressFamily = familyOf(server.address);
    return this.#sockets.dumps.dumpAs(
      operation,
      (writer) => encodeGetReals(writer, family, server),
      (message) => decodeReal(message, addressFamily),
    );
  }

  /** Returns the real servers of a virtual server with their traffic; none if it does not exist. */
  async traffic(server: VirtualServer): Promise<readonly RealTraffic[]> {
    const family = await this.#familyNumber();
    const addressFamily = familyOf(server.address);
    return this.#sockets.dumps.dumpAs(
      "read the traffic of real servers",
      (writer) => encodeGetReals(writer, family, server),
      (message) => decodeTraffic(message, addressFamily),
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

/** ESRCH: this virtual server does not exist. */
function isFound(answer: NetlinkAnswer): boolean {
  return answer.ok || answer.errno !== "ESRCH";
}

function repliesTo(operation: string, answer: NetlinkAnswer | undefined): readonly Message[] {
  if (answer === undefined || answer.ok) return answer?.replies ?? [];
  throw new NetlinkError(operation, answer.errno, answer.text);
}

/** Returns the virtual servers that a key can name. */
export function named(decoded: readonly (DecodedServer | undefined)[]): Map<VirtualServerKey, VirtualServer> {
  const servers = new Map<VirtualServerKey, VirtualServer>();
  for (const each of decoded) if (each?.kind === "server") servers.set(each.server.key, each.server);
  return servers;
}
