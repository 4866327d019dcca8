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
import { markedServerKey, type VirtualServer, type VirtualServerKey } from "../model/ipvs.ts";
import type { Protocol } from "../model/service.ts";

/** The set that names our virtual servers by firewall mark: the mark is the "port" of its members. */
const BY_MARK = "KUBE-LOCAL-MARK-SERVERS";

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
  const family = familyOf(server.address);
  if (server.mark !== 0) return [portEntry(ipset(BY_MARK, family), server.mark)];
  return ipsets(family).flatMap((set) => NAMING[set.base](set, server) ?? []);
}

/** The member that says the address is on kube-ipvs0. */
export function entryOfAddress(address: IPAddress): SetEntry {
  return addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address);
}

/** The virtual server by firewall mark that the member names; undefined if the member is of another set. */
export function serverOfMark({ set, port }: SetEntry): VirtualServerKey | undefined {
  return set.base === BY_MARK && port !== undefined ? markedServerKey(set.family, port) : undefined;
}

type Naming = (set: IPSet, server: VirtualServer) => SetEntry | undefined;

const byAddressAndPort: Naming = (set, server) => addressPortEntry(set, server.address, server.protocol, server.port);

const byPort =
  (protocol: Protocol): Naming =>
  (set, server) =>
    server.protocol === protocol ? portEntry(set, server.port) : undefined;

const byAddressAndPortOf =
  (protocol: Protocol): Naming =>
  (set, server) =>
    server.protocol === protocol ? byAddressAndPort(set, server) : undefined;

const notAtAll: Naming = () => undefined;

/** How a member of each set names a virtual server by address: it then stays as long as that. */
const NAMING: Readonly<Record<SetBase, Naming>> = {
  "KUBE-CLUSTER-IP": byAddressAndPort,
  "KUBE-EXTERNAL-IP": byAddressAndPort,
  "KUBE-EXTERNAL-IP-LOCAL": byAddressAndPort,
  "KUBE-LOAD-BALANCER": byAddressAndPort,
  "KUBE-LOAD-BALANCER-LOCAL": byAddressAndPort,
  "KUBE-LOAD-BALANCER-FW": byAddressAndPort,
  "KUBE-DROP": byAddressAndPort,
  "KUBE-DROP-EXTERNAL": byAddressAndPort,
  "KUBE-NODE-PORT-TCP": byPort("TCP"),
  "KUBE-NODE-PORT-LOCAL-TCP": byPort("TCP"),
  "KUBE-NODE-PORT-UDP": byPort("UDP"),
  "KUBE-NODE-PORT-LOCAL-UDP": byPort("UDP"),
  "KUBE-NODE-PORT-SCTP-HASH": byAddressAndPortOf("SCTP"),
  "KUBE-NODE-PORT-LOCAL-SCTP-HASH": byAddressAndPortOf("SCTP"),
  // Its members name endpoints, not frontends.
  "KUBE-LOOP-BACK": notAtAll,
  // Its members name addresses; that the address itself is on kube-ipvs0 says as much.
  "KUBE-IPVS-IPS": notAtAll,
  // Frontends that another set names as well, with clients that no virtual server knows.
  "KUBE-LOAD-BALANCER-SOURCE-CIDR": notAtAll,
  "KUBE-LOAD-BALANCER-SOURCE-IP": notAtAll,
  // Of the node, not of a Service.
  "KUBE-HEALTH-CHECK-NODE-PORT": notAtAll,
  "KUBE-NODE-PORT-IPS": notAtAll,
  "KUBE-SERVICE-CIDR": notAtAll,
  // Goes before the virtual servers that it leads to.
  "KUBE-LOCAL-MARK": notAtAll,
  // Names those by mark.
  "KUBE-LOCAL-MARK-SERVERS": notAtAll,
};
