import type { IPAddress } from "../address.ts";
import type { SetEntryKey } from "./ipset.ts";
import type { VirtualServerKey } from "./ipvs.ts";

/** Names of kernel objects, each once: what a change touched, what is to be looked at again. */
export interface Keys {
  readonly servers: KeysOfKind<VirtualServerKey>;
  readonly addresses: KeysOfKind<IPAddress>;
  readonly entries: KeysOfKind<SetEntryKey>;
}

type KeysOfKind<Key> = readonly Key[] | ReadonlySet<Key>;

/** Keys in the order in which they are to be taken. */
export interface KeyLists extends Keys {
  readonly servers: readonly VirtualServerKey[];
  readonly addresses: readonly IPAddress[];
  readonly entries: readonly SetEntryKey[];
}

/** How many keys there are. */
export function countOf({ servers, addresses, entries }: Keys): number {
  return countOfKind(servers) + countOfKind(addresses) + countOfKind(entries);
}

function countOfKind(keys: KeysOfKind<unknown>): number {
  return "size" in keys ? keys.size : keys.length;
}

export const NO_KEYS: Keys = { servers: [], addresses: [], entries: [] };
