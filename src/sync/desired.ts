import type { IPAddress } from "../model/address.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { SetEntry, SetEntryKey } from "../model/kernel/ipset.ts";
import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { KeyLists, Keys } from "../model/kernel/keys.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import type { ObjectCounts } from "./sync-report.ts";

/**
 * What the kernel should hold. It may change between two awaits, and whoever changes it marks the keys at the reconciler.
 * The iterables may be read over several turns; a change meanwhile may or may not be seen by them.
 */
export interface Desired {
  server(key: VirtualServerKey): ServerState | undefined;
  /** The virtual servers that serve the same frontends to other clients, by mark or by address. */
  counterparts(key: VirtualServerKey): readonly VirtualServerKey[];
  /** The Services that want each of these objects, some of each, by its key. Costs a walk over all Services. */
  servicesOf(keys: Keys): ReadonlyMap<string, readonly ServiceName[]>;
  servers(): Iterable<ServerState>;
  /** The names of all that each Service wants, in the order in which to program them. */
  byService(): Iterable<KeyLists>;
  hasAddress(address: IPAddress): boolean;
  addresses(): Iterable<IPAddress>;
  /** Whether another interface of this node has the address, so that connections to it do not need kube-ipvs0. */
  isElsewhere(address: IPAddress): boolean;
  entry(key: SetEntryKey): SetEntry | undefined;
  entries(): Iterable<SetEntry>;
  counts(): ObjectCounts;
}
