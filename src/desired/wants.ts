import type { ServerState } from "../kernel/kernel.ts";
import { familyOf, type IPAddress, type IPFamily } from "../model/address.ts";
import {
  addressEntry,
  addressPortAddressEntry,
  addressPortEntry,
  ipset,
  portEntry,
  type SetBase,
  type SetEntry,
} from "../model/ipset.ts";
import { type VirtualServerKey, virtualServer } from "../model/ipvs.ts";
import { RealServers } from "../model/real-servers.ts";
import { type Scheduling, usualScheduling } from "../model/scheduler.ts";
import type { Endpoint, PortKey, Protocol, Service, ServicePort, TrafficPolicy } from "../model/service.ts";
import { isLocal, selectEndpoints } from "../services/topology.ts";
import { type Frontend, frontends } from "./frontends.ts";
import type { NodeFacts } from "./node-facts.ts";

/** What one Service wants of this node's kernel. */
export interface Wants {
  /** Each key once, as in the other two. */
  readonly servers: readonly ServerState[];
  /** To bind to kube-ipvs0. */
  readonly addresses: readonly IPAddress[];
  readonly entries: readonly SetEntry[];
}

/**
 * What the Service wants: a virtual server for each frontend, on the endpoints its traffic policy allows. One without
 * such endpoints has no real servers, and the kernel refuses its clients.
 */
export function wants(service: Service, endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>, facts: NodeFacts): Wants {
  const found = frontends(service, facts);
  const realsOf = realServers(service, endpoints, facts);
  const servers: ServerState[] = [];
  const seen = new Set<VirtualServerKey>();
  for (const frontend of found) {
    const server = virtualServer(frontend.protocol, frontend.address, frontend.port, {
      ...schedulingOf(service, frontend.protocol, facts),
      drainTimeoutMs: service.choices.drainTimeoutMs,
      persistenceSeconds: service.affinitySeconds,
    });
    if (seen.has(server.key)) continue;
    seen.add(server.key);
    servers.push({ server, reals: realsOf(frontend) });
  }
  const clusterIPs = found.filter(({ kind }) => kind === "cluster-ip").map(({ address }) => address);
  const addresses = [...new Set(clusterIPs)];
  const entries = [
    ...found.map(frontendEntry),
    ...addresses.map((address) => addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address)),
    ...loopBackEntries(service.ports, new Set(found.map(({ address }) => familyOf(address))), endpoints, facts),
  ];
  return { servers, addresses, entries: distinct(entries) };
}

function distinct(entries: readonly SetEntry[]): readonly SetEntry[] {
  return [...new Map(entries.map((entry) => [entry.key, entry])).values()];
}

/** The Service's own choice, else the node's. One-packet mode exists for UDP alone. */
function schedulingOf({ choices }: Service, protocol: Protocol, facts: NodeFacts): Scheduling {
  const { scheduler, flags } = choices.scheduling ?? usualScheduling(facts.scheduler);
  return { scheduler, flags: choices.onePacket && protocol === "UDP" ? [...flags, "one-packet"] : flags };
}

/** The real servers of a frontend. Frontends of one port, family and policy share them: computed once, held once. */
function realServers(
  service: Service,
  endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>,
  facts: NodeFacts,
): (frontend: Frontend) => RealServers {
  const known = new Map<string, RealServers>();
  return ({ kind, address, portKey }) => {
    const family = familyOf(address);
    const policy = policyOf(service, kind);
    const memo = `${policy} ${family} ${portKey}`;
    const reals = known.get(memo) ?? select(ofFamily(endpoints.get(portKey) ?? [], family), policy, facts);
    known.set(memo, reals);
    return reals;
  };
}

function policyOf(service: Service, kind: Frontend["kind"]): TrafficPolicy {
  switch (kind) {
    case "cluster-ip":
      return service.internalTrafficPolicy;
    case "node-port":
      return service.externalTrafficPolicy;
  }
}

/** Local is strict: without local endpoints there are none, never remote ones in their place. */
function select(endpoints: readonly Endpoint[], policy: TrafficPolicy, facts: NodeFacts): RealServers {
  const { cluster, local } = selectEndpoints(
    endpoints,
    { cluster: policy === "Cluster", local: policy === "Local" },
    facts,
  );
  const chosen = (policy === "Local" ? local : cluster) ?? [];
  return RealServers.of(chosen);
}

function ofFamily(endpoints: readonly Endpoint[], family: IPFamily): readonly Endpoint[] {
  return endpoints.filter(({ address }) => familyOf(address) === family);
}

const NODE_PORT_SETS: Readonly<Record<Protocol, SetBase>> = {
  TCP: "KUBE-NODE-PORT-TCP",
  UDP: "KUBE-NODE-PORT-UDP",
  SCTP: "KUBE-NODE-PORT-SCTP-HASH",
};

/** The member by which the rules know the frontend. The sets of TCP and UDP NodePorts hold no addresses. */
function frontendEntry({ kind, protocol, address, port }: Frontend): SetEntry {
  const family = familyOf(address);
  switch (kind) {
    case "cluster-ip":
      return addressPortEntry(ipset("KUBE-CLUSTER-IP", family), address, protocol, port);
    case "node-port": {
      const set = ipset(NODE_PORT_SETS[protocol], family);
      return protocol === "SCTP" ? addressPortEntry(set, address, protocol, port) : portEntry(set, port);
    }
  }
}

/**
 * A pod that reaches itself through a Service must be masqueraded, or it would see its own address as the client's and
 * answer past us. Any state counts: a connection outlives the readiness of its endpoint.
 */
function loopBackEntries(
  ports: readonly ServicePort[],
  families: ReadonlySet<IPFamily>,
  endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>,
  facts: NodeFacts,
): readonly SetEntry[] {
  return ports.flatMap(({ key, protocol }) =>
    (endpoints.get(key) ?? [])
      .filter((endpoint) => isLocal(endpoint, facts) && families.has(familyOf(endpoint.address)))
      .map(({ address, port }) =>
        addressPortAddressEntry(ipset("KUBE-LOOP-BACK", familyOf(address)), address, protocol, port, address),
      ),
  );
}
