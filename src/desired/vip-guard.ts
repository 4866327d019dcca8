import { type Cidr, cidrContains, type IPAddress } from "../model/address.ts";
import { only } from "../model/only.ts";
import { type ClusterNode, KUBERNETES, type Rejection, type Service } from "../model/service.ts";
import type { ServiceTable } from "../services/service-table.ts";
import { specialPurpose } from "../services/special-address.ts";

/** Addresses that no Service may take on this node, each with the reason as a clause. */
export type ReservedAddresses = ReadonlyMap<IPAddress, string>;

/** What is known of the addresses around us. */
export interface KnownAddresses {
  /** All that the source tells of: an API server is asked for ours alone. */
  readonly nodes: readonly ClusterNode[];
  /** Of all interfaces of this node but kube-ipvs0. */
  readonly addresses: readonly IPAddress[];
  readonly apiServers: readonly IPAddress[];
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
  for (const address of apiServers) reserved.set(address, "is the address of an API server");
  // Sorted, so that maps of the same addresses are the same text.
  return new Map([...reserved].sort());
}

/** Why no Service may have the address here, as a clause; undefined when one may. */
export function vipFault(address: IPAddress, reserved: ReservedAddresses): string | undefined {
  return specialPurpose(address) ?? reserved.get(address);
}

/** The addresses that a Service may have here. */
export function allowedVips(addresses: readonly IPAddress[], reserved: ReservedAddresses): readonly IPAddress[] {
  return only(addresses, (address) => vipFault(address, reserved) === undefined);
}

/** One for each address of the Service that it may not have here. */
export function vipRejections(service: Service, reserved: ReservedAddresses): readonly Rejection[] {
  const rejections: Rejection[] = [];
  const tell = (field: string, addresses: readonly IPAddress[]): void => {
    for (const value of addresses) {
      const reason = vipFault(value, reserved);
      if (reason !== undefined) rejections.push({ object: `Service ${service.name}`, field, value, reason });
    }
  };
  tell("spec.clusterIPs", service.clusterIPs);
  tell("spec.externalIPs", service.externalIPs);
  tell("status.loadBalancer.ingress", service.loadBalancerIPs);
  return rejections;
}

/**
 * The API servers as the cluster itself tells them, and `configured` ones. Who is told to use the ClusterIP of the API
 * servers' own Service must not thereby forbid it to that Service.
 */
export function apiServerAddresses(table: ServiceTable, configured: readonly IPAddress[]): readonly IPAddress[] {
  const clusterIPs = table.service(KUBERNETES)?.clusterIPs ?? [];
  const endpoints = table
    .endpoints(KUBERNETES)
    .pods()
    .map(({ address }) => address);
  return [...configured, ...endpoints].filter((address) => !clusterIPs.includes(address));
}
