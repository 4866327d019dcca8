import { type Cidr, cidrContains, type IPAddress, specialPurpose } from "../model/address.ts";
import { type ClusterNode, KUBERNETES } from "../model/cluster/service.ts";
import type { ServiceTable } from "../services/service-table.ts";

/** The addresses that no Service may have on this node, each with the reason as a clause. */
export type ReservedAddresses = ReadonlyMap<IPAddress, string>;

/** The address and port of an API server. */
export interface ApiServer {
  readonly address: IPAddress;
  readonly port: number;
}

/** The known addresses that Services must not take. */
export interface KnownAddresses {
  /** All Nodes that the source sends; from an API server only the Node of this node. */
  readonly nodes: readonly ClusterNode[];
  /** The addresses of all interfaces of this node except kube-ipvs0. */
  readonly addresses: readonly IPAddress[];
  readonly apiServers: readonly ApiServer[];
}

/**
 * Returns the addresses that Services must not take, because packets for them must reach the current owner, for example
 * the host's sshd, another node or the API server. Addresses of this node in `shared` are excepted: the operator
 * provides them for Services, for example addresses that keepalived moves between nodes.
 */
export function reservedAddresses(
  { nodes, addresses, apiServers }: KnownAddresses,
  nodeName: string,
  shared: readonly Cidr[],
): ReservedAddresses {
  const reserved = new Map<IPAddress, string>();
  const isShared = (address: IPAddress) => shared.some((network) => cidrContains(network, address));
  for (const address of addresses) {
    // Special-purpose addresses are never allowed anyway, and each pod adds a link-local address: the map must not
    // change with pods.
    if (specialPurpose(address) === undefined && !isShared(address))
      reserved.set(address, "is an address of this node");
  }
  for (const { name, addresses: listed } of nodes) {
    for (const address of listed) {
      if (name !== nodeName || !isShared(address)) reserved.set(address, `is an address of Node ${name}`);
    }
  }
  for (const { address } of apiServers) reserved.set(address, "is the address of an API server");
  // Sorted, so that equal maps have equal texts.
  return new Map([...reserved].sort());
}

/**
 * Returns the API servers in the endpoints of Service default/kubernetes, and the `configured` ones. The ClusterIP of
 * that Service is left out: an agent that is configured to use it must not reject the Service for it.
 */
export function apiServers(table: ServiceTable, configured: readonly ApiServer[]): readonly ApiServer[] {
  const clusterIPs = table.service(KUBERNETES)?.clusterIPs ?? [];
  const endpoints = [...table.endpoints(KUBERNETES)].flatMap(([, found]) => found);
  return [...configured, ...endpoints]
    .filter(({ address }) => !clusterIPs.includes(address))
    .map(({ address, port }) => ({ address, port }));
}
