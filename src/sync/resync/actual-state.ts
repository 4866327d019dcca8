import type { IPAddress } from "../../model/address.ts";
import type { IPSet, SetEntry, SetEntryKey } from "../../model/kernel/ipset.ts";
import type { RealServer, RealServerKey, VirtualServer, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import type { Operation } from "../../model/kernel/operation.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { type VipBindings, withBinding, withoutBinding } from "../../model/vip-binding.ts";
import { admittedTo, type OwnershipEvidence, type ServerIndex } from "../plan/ownership.ts";
import type { ObjectCounts } from "../sync-report.ts";

/** The actual state of the kernel, of all owners: the result of the last resync, and all operations that succeeded since. */
export class ActualState implements OwnershipEvidence, ServerIndex {
  readonly #servers = new Map<VirtualServerKey, ServerState>();
  readonly #addresses = new Map<IPAddress, VipBindings>();
  readonly #entries = new Map<SetEntryKey, SetEntry>();
  readonly #members = new Map<IPSet, number>();
  readonly #byAddress = new Index<IPAddress, VirtualServerKey>();
  readonly #byPort = new Index<number, VirtualServerKey>();
  readonly #byFrontend = new Index<VirtualServerKey, SetEntryKey>();
  #realServers = 0;

  server(key: VirtualServerKey): ServerState | undefined {
    return this.#servers.get(key);
  }

  servers(): Iterable<ServerState> {
    return this.#servers.values();
  }

  /** The virtual servers on an address. */
  serversAt(address: IPAddress): Iterable<VirtualServerKey> {
    return this.#byAddress.get(address);
  }

  /** The virtual servers with a port number, of every protocol. */
  serversOnPort(port: number): Iterable<VirtualServerKey> {
    return this.#byPort.get(port);
  }

  /** The members that admit clients to a virtual server. */
  admittedTo(key: VirtualServerKey): Iterable<SetEntryKey> {
    return this.#byFrontend.get(key);
  }

  hasAddress(address: IPAddress): boolean {
    return this.#addresses.has(address);
  }

  /** How the VIP is bound; undefined: it is not. */
  bindings(address: IPAddress): VipBindings | undefined {
    return this.#addresses.get(address);
  }

  addresses(): Iterable<IPAddress> {
    return this.#addresses.keys();
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

  /** The number of members of each set that has had members. It follows all later changes. */
  get setMembers(): ReadonlyMap<IPSet, number> {
    return this.#members;
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

  /** Sets the state of a virtual server; undefined: it does not exist. */
  setServer(key: VirtualServerKey, seen: ServerState | undefined): void {
    const before = this.#servers.get(key);
    this.#realServers += (seen?.reals.size ?? 0) - (before?.reals.size ?? 0);
    if (seen !== undefined) this.#servers.set(key, seen);
    else this.#servers.delete(key);
    const { server } = before ?? seen ?? {};
    if (server === undefined || (before === undefined) === (seen === undefined)) return;
    const change = seen === undefined ? "delete" : "add";
    this.#byAddress[change](server.address, key);
    this.#byPort[change](server.port, key);
  }

  /** Sets how the VIP is bound; undefined: it is not. */
  setAddress(address: IPAddress, bindings: VipBindings | undefined): void {
    if (bindings !== undefined) this.#addresses.set(address, bindings);
    else this.#addresses.delete(address);
  }

  /** Sets whether the member is in its set. */
  setEntry(entry: SetEntry, isThere: boolean): void {
    if (this.#entries.has(entry.key) !== isThere)
      this.#members.set(entry.set, (this.#members.get(entry.set) ?? 0) + (isThere ? 1 : -1));
    if (isThere) this.#entries.set(entry.key, entry);
    else this.#entries.delete(entry.key);
    const frontend = admittedTo(entry);
    if (frontend !== undefined) this.#byFrontend[isThere ? "add" : "delete"](frontend, entry.key);
  }

  /**
   * Applies operations that the kernel has done. `reached` are the virtual servers that now equal the desired state, and all of
   * whose operations are in the list: these objects are stored as they are, so that both states share their memory.
   */
  apply(operations: readonly Operation[], reached: ReadonlyMap<VirtualServerKey, ServerState> = new Map()): void {
    const drafts = new Map<VirtualServerKey, Map<RealServerKey, RealServer>>();
    operations.forEach((operation) => {
      if (!("server" in operation && reached.has(operation.server.key))) this.#applyOne(operation, drafts);
    });
    for (const [key, draft] of drafts) this.#putReals(key, RealServers.of([...draft.values()]));
    for (const [key, state] of reached) this.setServer(key, state);
  }

  #applyOne(operation: Operation, drafts: Map<VirtualServerKey, Map<RealServerKey, RealServer>>): void {
    switch (operation.kind) {
      case "add-virtual-server":
        this.setServer(operation.server.key, { server: operation.server, reals: RealServers.NONE });
        return;
      case "update-virtual-server":
        this.#update(operation.server);
        return;
      case "delete-virtual-server":
        // As in the kernel, the real servers are deleted with it.
        this.setServer(operation.server.key, undefined);
        drafts.delete(operation.server.key);
        return;
      case "add-real-server":
      case "update-real-server":
        this.#draft(operation.server.key, drafts).set(operation.real.key, operation.real);
        return;
      case "delete-real-server":
        this.#draft(operation.server.key, drafts).delete(operation.real.key);
        return;
      case "bind-address":
        this.setAddress(operation.address, withBinding(this.bindings(operation.address), operation.binding));
        return;
      case "unbind-address":
        this.setAddress(operation.address, withoutBinding(this.bindings(operation.address), operation.binding));
        return;
      case "add-entry":
        this.setEntry(operation.entry, true);
        return;
      case "delete-entry":
        this.setEntry(operation.entry, false);
        return;
      case "forget-flows":
        return;
    }
  }

  #update(server: VirtualServer): void {
    const actual = this.#servers.get(server.key);
    if (actual !== undefined) this.#servers.set(server.key, { server, reals: actual.reals });
  }

  /** Returns a copy of the virtual server's real servers that can be changed. */
  #draft(
    key: VirtualServerKey,
    drafts: Map<VirtualServerKey, Map<RealServerKey, RealServer>>,
  ): Map<RealServerKey, RealServer> {
    const draft = drafts.get(key) ?? this.#servers.get(key)?.reals.toMap() ?? new Map();
    drafts.set(key, draft);
    return draft;
  }

  #putReals(key: VirtualServerKey, reals: RealServers): void {
    const actual = this.#servers.get(key);
    if (actual !== undefined) this.setServer(key, { server: actual.server, reals });
  }
}

/** Keys by a part of their name. Most parts have one key, which is stored without a Set to save memory. */
class Index<Part, Key extends string> {
  readonly #keys = new Map<Part, Key | Set<Key>>();

  get(part: Part): Iterable<Key> {
    const keys = this.#keys.get(part) ?? [];
    return typeof keys === "string" ? [keys] : keys;
  }

  add(part: Part, key: Key): void {
    const keys = this.#keys.get(part);
    if (keys === undefined) this.#keys.set(part, key);
    else if (typeof keys === "object") keys.add(key);
    else if (keys !== key) this.#keys.set(part, new Set([keys, key]));
  }

  delete(part: Part, key: Key): void {
    const keys = this.#keys.get(part);
    if (typeof keys === "object") keys.delete(key);
    if (keys === key || (typeof keys === "object" && keys.size === 0)) this.#keys.delete(part);
  }
}
