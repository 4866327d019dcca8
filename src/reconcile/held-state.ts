import type { ServerState } from "../kernel/kernel.ts";
import type { IPAddress } from "../model/address.ts";
import type { SetEntry, SetEntryKey } from "../model/ipset.ts";
import type { RealServer, RealServerKey, VirtualServer, VirtualServerKey } from "../model/ipvs.ts";
import type { Operation } from "../model/operation.ts";
import type { Evidence } from "./ownership.ts";
import type { ObjectCounts } from "./sync-report.ts";

interface HeldServer {
  server: VirtualServer;
  readonly reals: Map<RealServerKey, RealServer>;
}

/** What we believe the kernel holds, ours and others' alike: what a look saw, and every operation that went well since. */
export class HeldState implements Evidence {
  readonly #servers = new Map<VirtualServerKey, HeldServer>();
  readonly #addresses = new Set<IPAddress>();
  readonly #entries = new Map<SetEntryKey, SetEntry>();
  readonly #byAddress = new Map<IPAddress, Set<VirtualServerKey>>();
  readonly #byPort = new Map<number, Set<VirtualServerKey>>();
  #realServers = 0;

  server(key: VirtualServerKey): ServerState | undefined {
    return this.#servers.get(key);
  }

  servers(): Iterable<ServerState> {
    return this.#servers.values();
  }

  /** The virtual servers on an address. */
  serversAt(address: IPAddress): Iterable<VirtualServerKey> {
    return this.#byAddress.get(address) ?? [];
  }

  /** The virtual servers with a port number, of every protocol. */
  serversOnPort(port: number): Iterable<VirtualServerKey> {
    return this.#byPort.get(port) ?? [];
  }

  hasAddress(address: IPAddress): boolean {
    return this.#addresses.has(address);
  }

  addresses(): Iterable<IPAddress> {
    return this.#addresses;
  }

  hasEntry(key: SetEntryKey): boolean {
    return this.#entries.has(key);
  }

  entry(key: SetEntryKey): SetEntry | undefined {
    return this.#entries.get(key);
  }

  entries(): Iterable<SetEntry> {
    return this.#entries.values();
  }

  counts(): ObjectCounts {
    return {
      virtualServers: this.#servers.size,
      realServers: this.#realServers,
      addresses: this.#addresses.size,
      entries: this.#entries.size,
    };
  }

  /** The counts without these virtual servers and their real servers. */
  countsWithout(servers: Iterable<VirtualServerKey>): ObjectCounts {
    let { virtualServers, realServers, ...rest } = this.counts();
    for (const key of servers) {
      virtualServers--;
      realServers -= this.server(key)?.reals.size ?? 0;
    }
    return { ...rest, virtualServers, realServers };
  }

  /** Believes what was seen of one virtual server; undefined: it is not there. */
  believeServer(key: VirtualServerKey, seen: ServerState | undefined): void {
    this.#drop(key);
    if (seen === undefined) return;
    this.#add(seen.server);
    for (const real of seen.reals.values()) this.#putReal(seen.server, real);
  }

  believeAddress(address: IPAddress): void {
    this.#addresses.add(address);
  }

  believeEntry(entry: SetEntry): void {
    this.#entries.set(entry.key, entry);
  }

  /** Folds in an operation that the kernel has done. */
  fold(operation: Operation): void {
    switch (operation.kind) {
      case "add-virtual-server":
        this.#add(operation.server);
        return;
      case "update-virtual-server":
        this.#update(operation.server);
        return;
      case "delete-virtual-server":
        this.#drop(operation.server.key);
        return;
      case "add-real-server":
      case "update-real-server":
        this.#putReal(operation.server, operation.real);
        return;
      case "delete-real-server":
        this.#dropReal(operation.server, operation.real);
        return;
      case "bind-address":
        this.#addresses.add(operation.address);
        return;
      case "unbind-address":
        this.#addresses.delete(operation.address);
        return;
      case "add-entry":
        this.#entries.set(operation.entry.key, operation.entry);
        return;
      case "delete-entry":
        this.#entries.delete(operation.entry.key);
        return;
    }
  }

  #add(server: VirtualServer): void {
    this.#servers.set(server.key, { server, reals: new Map() });
    addTo(this.#byAddress, server.address, server.key);
    addTo(this.#byPort, server.port, server.key);
  }

  #update(server: VirtualServer): void {
    const held = this.#servers.get(server.key);
    if (held !== undefined) held.server = server;
  }

  /** As in the kernel, the real servers go with it. */
  #drop(key: VirtualServerKey): void {
    const held = this.#servers.get(key);
    if (held === undefined) return;
    this.#servers.delete(key);
    this.#realServers -= held.reals.size;
    removeFrom(this.#byAddress, held.server.address, key);
    removeFrom(this.#byPort, held.server.port, key);
  }

  #putReal(server: VirtualServer, real: RealServer): void {
    const reals = this.#servers.get(server.key)?.reals;
    if (reals === undefined) return;
    if (!reals.has(real.key)) this.#realServers++;
    reals.set(real.key, real);
  }

  #dropReal(server: VirtualServer, real: RealServer): void {
    if (this.#servers.get(server.key)?.reals.delete(real.key) === true) this.#realServers--;
  }
}

function addTo<Key, Value>(index: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const values = index.get(key);
  if (values === undefined) index.set(key, new Set([value]));
  else values.add(value);
}

function removeFrom<Key, Value>(index: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const values = index.get(key);
  values?.delete(value);
  if (values?.size === 0) index.delete(key);
}
