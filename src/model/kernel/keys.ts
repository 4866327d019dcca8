import type { IPAddress } from "../address.ts";
import { only } from "../only.ts";
import type { SetEntryKey } from "./ipset.ts";
import type { VirtualServerKey } from "./ipvs.ts";
import type { Operation } from "./operation.ts";

/** Keys of kernel objects, each once: for example the objects that a change affects, or those to read again. */
export interface Keys {
  readonly servers: KeysOfKind<VirtualServerKey>;
  readonly addresses: KeysOfKind<IPAddress>;
  readonly entries: KeysOfKind<SetEntryKey>;
}

type KeysOfKind<Key> = readonly Key[] | ReadonlySet<Key>;

/** Keys in the order in which they are processed. */
export interface KeyLists extends Keys {
  readonly servers: readonly VirtualServerKey[];
  readonly addresses: readonly IPAddress[];
  readonly entries: readonly SetEntryKey[];
}

/** Returns the number of keys. */
export function countOf({ servers, addresses, entries }: Keys): number {
  return countOfKind(servers) + countOfKind(addresses) + countOfKind(entries);
}

function countOfKind(keys: KeysOfKind<unknown>): number {
  return "size" in keys ? keys.size : keys.length;
}

export const NO_KEYS: Keys = { servers: [], addresses: [], entries: [] };

/** An object that is planned, refused and retried as a unit. A real server is part of its virtual server. */
export type ObjectName =
  | { readonly kind: "server"; readonly key: VirtualServerKey }
  | { readonly kind: "address"; readonly key: IPAddress }
  | { readonly kind: "entry"; readonly key: SetEntryKey };

/**
 * The key of any object. Keys of different kinds always differ: "TCP/10.0.0.1:80", "10.0.0.1", "KUBE-CLUSTER-IP
 * 10.0.0.1,tcp:80".
 */
export type ObjectKey = ObjectName["key"];

/** A collection of keys to which keys can be added. */
export class KeySet implements Keys {
  readonly servers = new Set<VirtualServerKey>();
  readonly addresses = new Set<IPAddress>();
  readonly entries = new Set<SetEntryKey>();

  get size(): number {
    return this.servers.size + this.addresses.size + this.entries.size;
  }

  add(name: ObjectName): void {
    switch (name.kind) {
      case "server":
        this.servers.add(name.key);
        return;
      case "address":
        this.addresses.add(name.key);
        return;
      case "entry":
        this.entries.add(name.key);
        return;
    }
  }

  has(name: ObjectName): boolean {
    switch (name.kind) {
      case "server":
        return this.servers.has(name.key);
      case "address":
        return this.addresses.has(name.key);
      case "entry":
        return this.entries.has(name.key);
    }
  }

  clear(): void {
    this.servers.clear();
    this.addresses.clear();
    this.entries.clear();
  }

  /** Adds the keys and returns those that were not in the set before. */
  take(keys: Keys): KeyLists {
    return {
      servers: takeInto(this.servers, keys.servers),
      addresses: takeInto(this.addresses, keys.addresses),
      entries: takeInto(this.entries, keys.entries),
    };
  }
}

function takeInto<Key>(taken: Set<Key>, keys: readonly Key[] | ReadonlySet<Key>): readonly Key[] {
  const fresh = only("size" in keys ? [...keys] : keys, (key) => !taken.has(key));
  for (const key of fresh) taken.add(key);
  return fresh;
}

/** Returns every key with its kind. */
export function* namesOf(keys: Keys): Generator<ObjectName> {
  for (const key of keys.entries) yield { kind: "entry", key };
  for (const key of keys.servers) yield { kind: "server", key };
  for (const key of keys.addresses) yield { kind: "address", key };
}

/** Returns the object that the operation changes. Flows are part of the virtual server to which they are sent. */
export function subjectOf(operation: Operation): ObjectName {
  switch (operation.kind) {
    case "add-virtual-server":
    case "update-virtual-server":
    case "delete-virtual-server":
    case "add-real-server":
    case "update-real-server":
    case "delete-real-server":
      return { kind: "server", key: operation.server.key };
    case "bind-address":
    case "unbind-address":
      return { kind: "address", key: operation.address };
    case "add-entry":
    case "delete-entry":
      return { kind: "entry", key: operation.entry.key };
    case "forget-flows":
      return { kind: "server", key: operation.to };
  }
}
