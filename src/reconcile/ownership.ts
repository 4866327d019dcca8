import { type Cidr, cidrContains, familyOf, type IPAddress } from "../model/address.ts";
import {
  addressEntry,
  addressPortEntry,
  type IPSet,
  ipset,
  ipsets,
  portEntry,
  type SetBase,
  type SetEntry,
  type SetEntryKey,
} from "../model/ipset.ts";
import type { VirtualServer } from "../model/ipvs.ts";
import type { Protocol } from "../model/service.ts";

/** What tells our virtual servers from others'. */
export interface Evidence {
  /** Whether the address is on kube-ipvs0. */
  hasAddress(address: IPAddress): boolean;
  /** Whether the member is in its set. */
  hasEntry(key: SetEntryKey): boolean;
}

/**
 * Whether we may delete an unwanted virtual server we see. IPVS has no place for a mark of the owner, so we ask what only
 * we make: its address on kube-ipvs0, or a member of our sets that names it. Members go in before the virtual server
 * and out after it, so whenever we die, what we leave behind is still known as ours.
 */
export function isOurs(server: VirtualServer, evidence: Evidence, excluded: readonly Cidr[]): boolean {
  if (isExcluded(server.address, excluded)) return false;
  return evidence.hasAddress(server.address) || entriesNaming(server).some((entry) => evidence.hasEntry(entry.key));
}

/** Whether the operator has told us to leave the address, and all virtual servers on it, to others. */
export function isExcluded(address: IPAddress, excluded: readonly Cidr[]): boolean {
  return excluded.some((network) => cidrContains(network, address));
}

/** Every set member, there or not, that would name the virtual server. */
export function entriesNaming(server: VirtualServer): SetEntry[] {
  return ipsets(familyOf(server.address)).flatMap((set) => NAMING[set.base](set, server) ?? []);
}

/** The member that says the address is on kube-ipvs0. */
export function entryOfAddress(address: IPAddress): SetEntry {
  return addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address);
}

type Naming = (set: IPSet, server: VirtualServer) => SetEntry | undefined;

const byAddressAndPort: Naming = (set, server) => addressPortEntry(set, server.address, server.protocol, server.port);

const byPort =
  (protocol: Protocol): Naming =>
  (set, server) =>
    server.protocol === protocol ? portEntry(set, server.port) : undefined;

const notAtAll: Naming = () => undefined;

/** How a member of each set names a virtual server. */
const NAMING: Readonly<Record<SetBase, Naming>> = {
  "KUBE-CLUSTER-IP": byAddressAndPort,
  "KUBE-NODE-PORT-TCP": byPort("TCP"),
  "KUBE-NODE-PORT-UDP": byPort("UDP"),
  "KUBE-NODE-PORT-SCTP-HASH": (set, server) => (server.protocol === "SCTP" ? byAddressAndPort(set, server) : undefined),
  // Its members name endpoints, not frontends.
  "KUBE-LOOP-BACK": notAtAll,
  // Its members name addresses; that the address itself is on kube-ipvs0 says as much.
  "KUBE-IPVS-IPS": notAtAll,
};
