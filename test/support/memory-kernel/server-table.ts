import type { ConnectionCounts } from "../../../src/kernel/kernel.ts";
import { familyOf } from "../../../src/model/address.ts";
import type { Errno } from "../../../src/model/kernel/errno.ts";
import type { RealServer, RealServerKey, VirtualServer, VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import { RealServers } from "../../../src/model/kernel/real-servers.ts";
import type { ServerState } from "../../../src/model/kernel/server-state.ts";

/** The schedulers of a kernel with every module; an unknown scheduler fails with ENOENT. */
const SCHEDULERS: ReadonlySet<string> = new Set("rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos".split(" "));
/** Longest name of a scheduler: with its final zero it must fit IP_VS_SCHEDNAME_MAXLEN. */
const LONGEST_SCHEDULER = 15;
const NO_CONNECTIONS: ConnectionCounts = { active: 0, inactive: 0 };

type RealServerOperation = Extract<Operation, { readonly real: RealServer }>;

/** A virtual server with its real servers and their open connections. */
export interface KernelServer {
  server: VirtualServer;
  readonly reals: Map<RealServerKey, RealServer>;
  readonly connections: Map<RealServerKey, ConnectionCounts>;
}

/** The virtual servers of a kernel, with its rules and errnos. */
export class ServerTable {
  readonly #servers = new Map<VirtualServerKey, KernelServer>();
  /** The keys of the virtual servers in order; undefined after one is added or deleted. */
  #order: readonly VirtualServerKey[] | undefined;

  get all(): ReadonlyMap<VirtualServerKey, KernelServer> {
    return this.#servers;
  }

  /** Returns the keys in order. */
  keys(): readonly VirtualServerKey[] {
    this.#order ??= [...this.#servers.keys()];
    return this.#order;
  }

  /** Returns those of the virtual servers that exist. */
  states(keys: readonly VirtualServerKey[]): ReadonlyMap<VirtualServerKey, ServerState> {
    const states = new Map<VirtualServerKey, ServerState>();
    for (const key of keys) {
      const found = this.#servers.get(key);
      if (found !== undefined)
        states.set(key, { server: found.server, reals: RealServers.of([...found.reals.values()]) });
    }
    return states;
  }

  /** Returns the open connections of a real server. */
  connectionsOf(server: VirtualServerKey, real: RealServerKey): ConnectionCounts {
    return this.#servers.get(server)?.connections.get(real) ?? NO_CONNECTIONS;
  }

  add(server: VirtualServer): Errno | undefined {
    return this.#servers.has(server.key) ? "EEXIST" : this.#put(server, new Map());
  }

  update(server: VirtualServer): Errno | undefined {
    const found = this.#servers.get(server.key);
    if (found === undefined) return "ESRCH";
    return this.#put(server, found.reals, found.connections);
  }

  delete(key: VirtualServerKey): Errno | undefined {
    this.#order = undefined;
    return this.#servers.delete(key) ? undefined : "ESRCH";
  }

  /** Applies an operation on a real server. */
  perform({ kind, server, real }: RealServerOperation): Errno | undefined {
    const found = this.#servers.get(server.key);
    return found === undefined ? "ESRCH" : performOnReal(found, kind, real);
  }

  #put(
    server: VirtualServer,
    reals: Map<RealServerKey, RealServer>,
    connections: Map<RealServerKey, ConnectionCounts> = new Map(),
  ): Errno | undefined {
    if (server.scheduler.length > LONGEST_SCHEDULER) return "EINVAL";
    if (!SCHEDULERS.has(server.scheduler)) return "ENOENT";
    if (!this.#servers.has(server.key)) this.#order = undefined;
    const kept: VirtualServer = server.mark === 0 ? server : { ...server, protocol: "TCP" };
    this.#servers.set(server.key, { server: kept, reals, connections });
    return undefined;
  }
}

/** Applies an operation on a real server of an existing virtual server, by the rules of the kernel. */
function performOnReal(found: KernelServer, kind: RealServerOperation["kind"], real: RealServer): Errno | undefined {
  const isThere = found.reals.has(real.key);
  if (kind === "delete-real-server") {
    found.connections.delete(real.key);
    return found.reals.delete(real.key) ? undefined : "ENOENT";
  }
  if (real.weight < 0) return "ERANGE";
  if (familyOf(real.address) !== familyOf(found.server.address) && real.forwarding !== "tunnel") return "EINVAL";
  if (kind === "add-real-server" && isThere) return "EEXIST";
  if (kind === "update-real-server" && !isThere) return "ENOENT";
  found.reals.set(real.key, real);
  return undefined;
}
