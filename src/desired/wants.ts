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
  type SetEntryKey,
} from "../model/ipset.ts";
import {
  type RealServer,
  type RealServerKey,
  realServer,
  type VirtualServerKey,
  virtualServer,
} from "../model/ipvs.ts";
import { type Scheduling, usualScheduling } from "../model/scheduler.ts";
import type { Endpoint, PortKey, Protocol, Service, ServicePort, TrafficPolicy } from "../model/service.ts";
import { isLocal, selectEndpoints } from "../services/topology.ts";
import { type Frontend, frontends } from "./frontends.ts";
import type { NodeFacts } from "./node-facts.ts";

/** What one Service wants of this node's kernel. */
export interface Wants {
  readonly servers: ReadonlyMap<VirtualServerKey, ServerState>;
  /** To bind to kube-ipvs0. */
  readonly addresses: ReadonlySet<IPAddress>;
  readonly entries: ReadonlyMap<SetEntryKey, SetEntry>;
}

type Reals = ReadonlyMap<RealServerKey, RealServer>;

/**
 * What the Service wants: a virtual server for each frontend, on the endpoints its traffic policy allows. One without
 * such endpoints has no real servers, and the kernel refuses its clients.
 */
export function wants(service: Service, endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>, facts: NodeFacts): Wants {
  const found = frontends(service, facts);
  const realsOf = realServers(service, endpoints, facts);
  const servers = new Map<VirtualServerKey, ServerState>();
  for (const frontend of found) {
    const server = virtualServer(frontend.protocol, frontend.address, frontend.port, {
      ...schedulingOf(service, frontend.protocol, facts),
      persistenceSeconds: service.affinitySeconds,
    });
    if (!servers.has(server.key)) servers.set(server.key, { server, reals: realsOf(frontend) });
  }
  const clusterIPs = new Set(found.filter(({ kind }) => kind === "cluster-ip").map(({ address }) => address));
  const entries = [
    ...found.map(frontendEntry),
    ...[...clusterIPs].map((address) => addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address)),
    ...loopBackEntries(service.ports, new Set([...clusterIPs].map(familyOf)), endpoints, facts),
  ];
  return { servers, addresses: clusterIPs, entries: new Map(entries.map((entry) => [entry.key, entry])) };
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
): (frontend: Frontend) => Reals {
  const known = new Map<string, Reals>();
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
function select(endpoints: readonly Endpoint[], policy: TrafficPolicy, facts: NodeFacts): Reals {
  const { cluster, local } = selectEndpoints(
    endpoints,
    { cluster: policy === "Cluster", local: policy === "Local" },
    facts,
  );
  const chosen = (policy === "Local" ? local : cluster) ?? [];
  return new Map(chosen.map(({ address, port }) => realServer(address, port)).map((real) => [real.key, real]));
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
