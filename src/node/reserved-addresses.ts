import { type Cidr, cidrContains, type IPAddress } from "../model/address.ts";
import { type ClusterNode, KUBERNETES } from "../model/cluster/service.ts";
import { specialPurpose } from "../model/special-address.ts";
import type { ServiceTable } from "../services/service-table.ts";

/** Addresses that no Service may take on this node, each with the reason as a clause. */
export type ReservedAddresses = ReadonlyMap<IPAddress, string>;

/** Where an API server answers. */
export interface ApiServer {
  readonly address: IPAddress;
  readonly port: number;
}

/** What is known of the addresses around us. */
export interface KnownAddresses {
  /** All that the source tells of: an API server is asked for ours alone. */
  readonly nodes: readonly ClusterNode[];
  /** Of all interfaces of this node but kube-ipvs0. */
  readonly addresses: readonly IPAddress[];
  readonly apiServers: readonly ApiServer[];
}

/**
 * What a Service would take away from somebody if it got it: packets for one of these addresses must go on reaching whoever
 * has them now, the host's sshd, another node and the API server among them. This node's own that lie in `shared` are
 * meant for Services by whoever runs the node: they are moved between nodes by keepalived, say.
 */
export function reservedAddresses(
  { nodes, addresses, apiServers }: KnownAddresses,
  nodeName: string,
  shared: readonly Cidr[],
): ReservedAddresses {
  const reserved = new Map<IPAddress, string>();
  const isShared = (address: IPAddress) => shared.some((network) => cidrContains(network, address));
  for (const address of addresses) {
    // Each pod brings a link-local address, and no Service may have any: the map must not change for one.
    if (specialPurpose(address) === undefined && !isShared(address))
      reserved.set(address, "is an address of this node");
  }
  for (const { name, addresses: listed } of nodes) {
    for (const address of listed) {
      if (name !== nodeName || !isShared(address)) reserved.set(address, `is an address of Node ${name}`);
    }
  }
  for (const { address } of apiServers) reserved.set(address, "is the address of an API server");
  // Sorted, so that maps of the same addresses are the same text.
  return new Map([...reserved].sort());
}

/**
 * The API servers as the cluster itself tells them, and `configured` ones. Who is told to use the ClusterIP of the API
 * servers' own Service must not thereby forbid it to that Service.
 */
export function apiServers(table: ServiceTable, configured: readonly ApiServer[]): readonly ApiServer[] {
  const clusterIPs = table.service(KUBERNETES)?.clusterIPs ?? [];
  const endpoints = [...table.endpoints(KUBERNETES)].flatMap(([, found]) => found);
  return [...configured, ...endpoints]
    .filter(({ address }) => !clusterIPs.includes(address))
    .map(({ address, port }) => ({ address, port }));
}
