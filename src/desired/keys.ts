import type { IPAddress } from "../model/address.ts";
import type { SetEntryKey } from "../model/ipset.ts";
import type { VirtualServerKey } from "../model/ipvs.ts";

/** Names of kernel objects, each once: what a change touched, what is to be looked at again. */
export interface Keys {
  readonly servers: Iterable<VirtualServerKey>;
  readonly addresses: Iterable<IPAddress>;
  readonly entries: Iterable<SetEntryKey>;
}

/** Keys that can be counted. */
export interface KeyLists extends Keys {
  readonly servers: readonly VirtualServerKey[];
  readonly addresses: readonly IPAddress[];
  readonly entries: readonly SetEntryKey[];
}

export const NO_KEYS: Keys = { servers: [], addresses: [], entries: [] };
