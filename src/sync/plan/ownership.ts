import { type Cidr, cidrContains, familyOf, type IPAddress, type IPFamily } from "../../model/address.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import {
  addressEntry,
  addressPortKeys,
  type IPSet,
  ipset,
  ipsets,
  portEntry,
  type SetBase,
  type SetEntry,
  type SetEntryKey,
  type SetRole,
} from "../../model/kernel/ipset.ts";
import {
  markedServerKey,
  type VirtualServer,
  type VirtualServerKey,
  virtualServerKey,
} from "../../model/kernel/ipvs.ts";

/** The set that names our virtual servers by firewall mark: the mark is the "port" of its members. */
const BY_MARK = "KUBE-LOCAL-MARK-SERVERS";

/** Finds virtual servers by a part of their key. */
export interface ServerIndex {
  serversAt(address: IPAddress): Iterable<VirtualServerKey>;
  serversOnPort(port: number): Iterable<VirtualServerKey>;
}

/** The evidence that distinguishes our virtual servers from foreign ones. */
export interface OwnershipEvidence {
  /** Whether the address is bound: on kube-ipvs0, or by a route of the agent. */
  hasAddress(address: IPAddress): boolean;
  /** Whether the member is in its set. */
  hasEntry(key: SetEntryKey): boolean;
}

/**
 * Whether a virtual server that is not desired is ours, so that it may be deleted. IPVS stores no owner. The evidence is what
 * only this agent creates: the binding of the address, or members of our sets with the address and port. The evidence is added
 * before the virtual server and removed after it: whenever the process ends, a virtual server that it leaves is recognised.
 */
export function isOurs(server: VirtualServer, evidence: OwnershipEvidence, excluded: readonly Cidr[]): boolean {
  if (isExcluded(server.address, excluded)) return false;
  if (evidence.hasAddress(server.address)) return true;
  const isMember = (key: SetEntryKey) => evidence.hasEntry(key);
  if (server.mark !== 0) return isMember(markEntryKey(server));
  if (frontendKeys(server).some(isMember)) return true;
  return isMember(nodePortAddressEntry(server.address).key) && nodePortKeys(server).some(isMember);
}

/** Whether the operator has excluded the address, with all virtual servers on it (--ipvs-exclude-cidrs). */
export function isExcluded(address: IPAddress, excluded: readonly Cidr[]): boolean {
  return excluded.some((network) => cidrContains(network, address));
}

/** The member of the set of marks for a virtual server by firewall mark. */
function markEntryKey({ address, mark }: VirtualServer): SetEntryKey {
  return portEntry(ipset(BY_MARK, familyOf(address)), mark).key;
}

/** The members for a virtual server by address, protocol and port. Each of them is evidence. */
function frontendKeys({ address, protocol, port }: VirtualServer): readonly SetEntryKey[] {
  return addressPortKeys(FRONTEND_SETS[familyOf(address)], address, protocol, port);
}

/**
 * The members for a NodePort by its number. The number alone is no evidence, because a foreign load balancer may serve the
 * same port at another address. Each is evidence together with the member for the address.
 */
function nodePortKeys({ address, protocol, port }: VirtualServer): readonly SetEntryKey[] {
  return PORT_SETS[protocol].map((base) => portEntry(ipset(base, familyOf(address)), port).key);
}

/** Every member, existing or not, that is part of the evidence for the virtual server. */
export function provingKeys(server: VirtualServer): readonly SetEntryKey[] {
  if (server.mark !== 0) return [markEntryKey(server)];
  const frontends = frontendKeys(server);
  const nodePorts = nodePortKeys(server);
  return nodePorts.length === 0 ? frontends : frontends.concat(nodePorts, nodePortAddressEntry(server.address).key);
}

/** Whether the member must outlive the virtual server: as evidence, or because draining connections still need it. */
export function mustOutlive(entry: SetEntry, server: VirtualServer): boolean {
  const { set, port } = entry;
  switch (set.role) {
    case "frontend":
    case "external-frontend":
    case "restricted-frontend":
    // The restriction stays until its virtual server is deleted. Without this member the connections of its client would hang.
    case "client":
      return frontendOf(entry) === server.key;
    case "marked-server":
      return port !== undefined && markedServerKey(set.family, port) === server.key;
    case "node-port":
      return server.mark === 0 && nodePortKeys(server).includes(entry.key);
    case "node-address":
      return server.mark === 0 && PORT_SETS[server.protocol].length > 0 && entry.address === server.address;
    // Deleted before the virtual servers of its mark: established connections need no mark.
    case "marked-frontend":
    case "other":
      return false;
  }
}

/** The frontend whose clients the member admits; undefined if the member is of another set. */
export function admittedTo(entry: SetEntry): VirtualServerKey | undefined {
  return entry.set.role === "client" ? frontendOf(entry) : undefined;
}

/** The member for an address that is bound. */
export function entryOfAddress(address: IPAddress): SetEntry {
  return addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address);
}

/** The virtual servers that the member may have to outlive. A member with an address and a port has only one. */
export function serversNear(entry: SetEntry, actual: ServerIndex): Iterable<VirtualServerKey> {
  const { set, address, port } = entry;
  switch (set.role) {
    case "marked-server":
      return port === undefined ? [] : [markedServerKey(set.family, port)];
    case "node-port":
      return port === undefined ? [] : actual.serversOnPort(port);
    case "node-address":
      return address === undefined ? [] : actual.serversAt(address);
    case "frontend":
    case "external-frontend":
    case "restricted-frontend":
    case "client": {
      const frontend = frontendOf(entry);
      return frontend === undefined ? [] : [frontend];
    }
    case "marked-frontend":
    case "other":
      return [];
  }
}

/** Roles of the sets whose members have the address, protocol and port of a virtual server: each member is evidence. */
const FRONTEND_ROLES: ReadonlySet<SetRole> = new Set(["frontend", "external-frontend", "restricted-frontend"]);

/** The sets whose members have the address, protocol and port of a virtual server. */
const FRONTEND_SETS: Readonly<Record<IPFamily, readonly IPSet[]>> = {
  IPv4: frontendSets("IPv4"),
  IPv6: frontendSets("IPv6"),
};

function frontendSets(family: IPFamily): readonly IPSet[] {
  return ipsets(family).filter(({ role }) => FRONTEND_ROLES.has(role));
}

/** The sets of NodePort numbers of each protocol. SCTP has none: its sets contain addresses. */
const PORT_SETS: Readonly<Record<Protocol, readonly SetBase[]>> = {
  TCP: ["KUBE-NODE-PORT-TCP", "KUBE-NODE-PORT-LOCAL-TCP"],
  UDP: ["KUBE-NODE-PORT-UDP", "KUBE-NODE-PORT-LOCAL-UDP"],
  SCTP: [],
};

function nodePortAddressEntry(address: IPAddress): SetEntry {
  return addressEntry(ipset("KUBE-NODE-PORT-IPS", familyOf(address)), address);
}

function frontendOf({ protocol, address, port }: SetEntry): VirtualServerKey | undefined {
  if (protocol === undefined || address === undefined || port === undefined) return undefined;
  return virtualServerKey(protocol, address, port);
}

/**
 * Tracks which virtual servers are ours. A server that was desired, or recognised by its evidence, stays ours until it is
 * deleted, whatever happens to the evidence. A foreign server becomes ours when it is desired.
 */
export class OwnershipTracker {
  readonly #excluded: readonly Cidr[];
  readonly #ours = new Set<VirtualServerKey>();
  readonly #foreign = new Set<VirtualServerKey>();

  constructor(excludeCIDRs: readonly Cidr[]) {
    this.#excluded = excludeCIDRs;
  }

  /** The virtual servers that are not ours. */
  get foreign(): ReadonlySet<VirtualServerKey> {
    return this.#foreign;
  }

  isExcluded(address: IPAddress): boolean {
    return isExcluded(address, this.#excluded);
  }

  /** Whether a virtual server that is not desired may be deleted. */
  isOurs(server: VirtualServer, evidence: OwnershipEvidence): boolean {
    if (this.#ours.has(server.key)) return !this.isExcluded(server.address);
    return isOurs(server, evidence, this.#excluded);
  }

  /** The virtual server is ours from now on. */
  markOurs(key: VirtualServerKey): void {
    this.#foreign.delete(key);
    this.#ours.add(key);
  }

  /** Decides whether the virtual server is ours, and returns the result. */
  classify(server: VirtualServer, isDesired: boolean, evidence: OwnershipEvidence): boolean {
    const ours = isDesired || this.isOurs(server, evidence);
    if (ours) this.markOurs(server.key);
    else this.#foreign.add(server.key);
    return ours;
  }

  /** The virtual server was deleted: one with the same key needs evidence again. */
  forget(key: VirtualServerKey): void {
    this.#ours.delete(key);
    this.#foreign.delete(key);
  }

  /** Forgets all virtual servers that do not exist any more. */
  retain(exists: (key: VirtualServerKey) => boolean): void {
    for (const key of [...this.#ours, ...this.#foreign]) if (!exists(key)) this.forget(key);
  }
}
