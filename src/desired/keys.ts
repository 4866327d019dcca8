import type { IPAddress } from "../model/address.ts";
import type { SetEntryKey } from "../model/ipset.ts";
import type { VirtualServerKey } from "../model/ipvs.ts";

/** Names of kernel objects: what a change touched, what is to be looked at again. */
export interface Keys {
  readonly servers: ReadonlySet<VirtualServerKey>;
  readonly addresses: ReadonlySet<IPAddress>;
  readonly entries: ReadonlySet<SetEntryKey>;
}

export const NO_KEYS: Keys = { servers: new Set(), addresses: new Set(), entries: new Set() };
