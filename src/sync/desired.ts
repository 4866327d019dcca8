import type { IPAddress } from "../model/address.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { SetEntry, SetEntryKey } from "../model/kernel/ipset.ts";
import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { KeyLists, Keys } from "../model/kernel/keys.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import type { ObjectCounts } from "./sync-report.ts";

/**
 * The desired state of the kernel. It may change between two awaits; the caller that changes it marks the keys at the
 * reconciler. The iterables may be read over several turns of the event loop, and may or may not include changes meanwhile.
 */
export interface Desired {
  server(key: VirtualServerKey): ServerState | undefined;
  /** The virtual servers that serve the same frontends to other clients, by mark or by address. */
  counterparts(key: VirtualServerKey): readonly VirtualServerKey[];
  /** Some of the Services that need each of these objects, by its key. Iterates over all Services. */
  servicesOf(keys: Keys): ReadonlyMap<string, readonly ServiceName[]>;
  servers(): Iterable<ServerState>;
  /** The keys of all objects of each Service, in the order in which to program them. */
  byService(): Iterable<KeyLists>;
  hasAddress(address: IPAddress): boolean;
  addresses(): Iterable<IPAddress>;
  /** Whether another interface of this node has the address, so that connections to it do not need kube-ipvs0. */
  isElsewhere(address: IPAddress): boolean;
  entry(key: SetEntryKey): SetEntry | undefined;
  entries(): Iterable<SetEntry>;
  counts(): ObjectCounts;
}
