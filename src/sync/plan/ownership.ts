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

/** Where virtual servers are. */
export interface ServerIndex {
  serversAt(address: IPAddress): Iterable<VirtualServerKey>;
  serversOnPort(port: number): Iterable<VirtualServerKey>;
}

/** What tells our virtual servers from others'. */
export interface OwnershipEvidence {
  /** Whether the address is on kube-ipvs0. */
  hasAddress(address: IPAddress): boolean;
  /** Whether the member is in its set. */
  hasEntry(key: SetEntryKey): boolean;
}

/**
 * Whether we may delete an unwanted virtual server we see. IPVS has no place for a mark of the owner, so the proof is what
 * only we make: its address on kube-ipvs0, or members of our sets that name its address and port. The proof goes in before
 * the virtual server and out after it, so whenever we die, what we leave behind is still known as ours.
 */
export function isOurs(server: VirtualServer, evidence: OwnershipEvidence, excluded: readonly Cidr[]): boolean {
  if (isExcluded(server.address, excluded)) return false;
  if (evidence.hasAddress(server.address)) return true;
  const isMember = (key: SetEntryKey) => evidence.hasEntry(key);
  if (server.mark !== 0) return isMember(markEntryKey(server));
  if (frontendKeys(server).some(isMember)) return true;
  return isMember(nodePortAddressEntry(server.address).key) && nodePortKeys(server).some(isMember);
}

/** Whether the operator has told us to leave the address, and all virtual servers on it, to others. */
export function isExcluded(address: IPAddress, excluded: readonly Cidr[]): boolean {
  return excluded.some((network) => cidrContains(network, address));
}

/** The member of the set of marks that names a virtual server by firewall mark. */
function markEntryKey({ address, mark }: VirtualServer): SetEntryKey {
  return portEntry(ipset(BY_MARK, familyOf(address)), mark).key;
}

/** The members that name a virtual server by address, protocol and port: each of them proves it ours. */
function frontendKeys({ address, protocol, port }: VirtualServer): readonly SetEntryKey[] {
  return addressPortKeys(FRONTEND_SETS[familyOf(address)], address, protocol, port);
}

/**
 * The members that name a NodePort by its number. The number alone proves nothing, for a load balancer of others may serve
 * the same port at its own address: each proves it ours together with the member for the address.
 */
function nodePortKeys({ address, protocol, port }: VirtualServer): readonly SetEntryKey[] {
  return PORT_SETS[protocol].map((base) => portEntry(ipset(base, familyOf(address)), port).key);
}

/** Every member, there or not, that is part of a proof that the virtual server is ours. */
export function provingKeys(server: VirtualServer): readonly SetEntryKey[] {
  if (server.mark !== 0) return [markEntryKey(server)];
  const frontends = frontendKeys(server);
  const nodePorts = nodePortKeys(server);
  return nodePorts.length === 0 ? frontends : frontends.concat(nodePorts, nodePortAddressEntry(server.address).key);
}

/**
 * Whether the member must outlive the virtual server: as a proof of whose it is, or because connections that drain still
 * need it.
 */
export function mustOutlive(entry: SetEntry, server: VirtualServer): boolean {
  const { set, port } = entry;
  switch (set.role) {
    case "frontend":
    case "external-frontend":
    case "restricted-frontend":
    // The restriction stays until its virtual server is gone: without the clients it admits, their connections would hang.
    case "client":
      return frontendOf(entry) === server.key;
    case "marked-server":
      return port !== undefined && markedServerKey(set.family, port) === server.key;
    case "node-port":
      return server.mark === 0 && nodePortKeys(server).includes(entry.key);
    case "node-address":
      return server.mark === 0 && PORT_SETS[server.protocol].length > 0 && entry.address === server.address;
    // Goes before the virtual servers that it leads to: what is connected already needs no mark.
    case "marked-frontend":
    case "other":
      return false;
  }
}

/** The frontend whose clients the member admits; undefined if the member is of another set. */
export function admittedTo(entry: SetEntry): VirtualServerKey | undefined {
  return entry.set.role === "client" ? frontendOf(entry) : undefined;
}

/** The member that says the address is on kube-ipvs0. */
export function entryOfAddress(address: IPAddress): SetEntry {
  return addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address);
}

/** The held virtual servers that the member may have to outlive. With an address and a port it names one alone. */
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

/** Roles of the sets whose members name a virtual server by address, protocol and port: each member proves it ours. */
const FRONTEND_ROLES: ReadonlySet<SetRole> = new Set(["frontend", "external-frontend", "restricted-frontend"]);

/** The sets whose members name a virtual server by address, protocol and port. */
const FRONTEND_SETS: Readonly<Record<IPFamily, readonly IPSet[]>> = {
  IPv4: frontendSets("IPv4"),
  IPv6: frontendSets("IPv6"),
};

function frontendSets(family: IPFamily): readonly IPSet[] {
  return ipsets(family).filter(({ role }) => FRONTEND_ROLES.has(role));
}

/** In which set of numbers a NodePort of each protocol is looked for; SCTP has sets with addresses. */
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
 * Whose the held virtual servers are. One that we wanted, or knew as ours by its evidence, is ours until it is gone,
 * whatever becomes of the evidence meanwhile; one that was others' becomes ours by being wanted.
 */
export class OwnershipTracker {
  readonly #excluded: readonly Cidr[];
  readonly #ours = new Set<VirtualServerKey>();
  readonly #foreign = new Set<VirtualServerKey>();

  constructor(excludeCIDRs: readonly Cidr[]) {
    this.#excluded = excludeCIDRs;
  }

  /** The held virtual servers that are not ours. */
  get foreign(): ReadonlySet<VirtualServerKey> {
    return this.#foreign;
  }

  isExcluded(address: IPAddress): boolean {
    return isExcluded(address, this.#excluded);
  }

  /** Whether a virtual server that nobody wants may be deleted by us. */
  isOurs(server: VirtualServer, evidence: OwnershipEvidence): boolean {
    if (this.#ours.has(server.key)) return !this.isExcluded(server.address);
    return isOurs(server, evidence, this.#excluded);
  }

  /** It is ours from now on. */
  markOurs(key: VirtualServerKey): void {
    this.#foreign.delete(key);
    this.#ours.add(key);
  }

  /** Settles whose it is; returns whether it is ours. */
  classify(server: VirtualServer, isWanted: boolean, evidence: OwnershipEvidence): boolean {
    const ours = isWanted || this.isOurs(server, evidence);
    if (ours) this.markOurs(server.key);
    else this.#foreign.add(server.key);
    return ours;
  }

  /** It is gone: whoever makes it next is asked for evidence again. */
  forget(key: VirtualServerKey): void {
    this.#ours.delete(key);
    this.#foreign.delete(key);
  }

  /** Forgets all that are not there any more. */
  retain(isThere: (key: VirtualServerKey) => boolean): void {
    for (const key of [...this.#ours, ...this.#foreign]) if (!isThere(key)) this.forget(key);
  }
}
