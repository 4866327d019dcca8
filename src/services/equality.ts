import type { Cidr } from "../model/address.ts";
import type {
  ClusterNode,
  EndpointSlice,
  Service,
  ServiceChoices,
  ServiceCIDR,
  ServicePort,
} from "../model/cluster/service.ts";

/** Nothing a proxy reads differs. */
export function sameService(a: Service, b: Service): boolean {
  return (
    a.name === b.name &&
    a.affinitySeconds === b.affinitySeconds &&
    a.internalTrafficPolicy === b.internalTrafficPolicy &&
    a.externalTrafficPolicy === b.externalTrafficPolicy &&
    a.healthCheckNodePort === b.healthCheckNodePort &&
    a.clusterDNS === b.clusterDNS &&
    sameList(a.clusterIPs, b.clusterIPs) &&
    sameList(a.ports, b.ports, samePort) &&
    sameList(a.externalIPs, b.externalIPs) &&
    sameList(a.loadBalancerIPs, b.loadBalancerIPs) &&
    sameSourceRanges(a.sourceRanges, b.sourceRanges) &&
    sameChoices(a.choices, b.choices)
  );
}

/** Nothing a proxy reads differs. When the change was made is about the change, not about the slice. */
export function sameSlice(a: EndpointSlice, b: EndpointSlice): boolean {
  return a.name === b.name && a.service === b.service && a.family === b.family && a.endpoints.equals(b.endpoints);
}

/** Nothing a proxy reads differs. */
export function sameNode(a: ClusterNode, b: ClusterNode): boolean {
  return (
    a.name === b.name &&
    a.zone === b.zone &&
    a.leaving === b.leaving &&
    sameList(a.addresses, b.addresses) &&
    sameNetworks(a.podCIDRs, b.podCIDRs)
  );
}

/** No restriction is another thing than one that lets nobody in. */
function sameSourceRanges(a: Service["sourceRanges"], b: Service["sourceRanges"]): boolean {
  if (a === undefined || b === undefined) return a === b;
  return sameNetworks(a, b);
}

function sameNetworks(a: readonly Cidr[], b: readonly Cidr[]): boolean {
  return sameList(a, b, (one, other) => one.text === other.text);
}

function sameChoices(a: ServiceChoices, b: ServiceChoices): boolean {
  return (
    a.onePacket === b.onePacket &&
    a.drainTimeoutMs === b.drainTimeoutMs &&
    a.scheduling?.scheduler === b.scheduling?.scheduler &&
    sameList(a.scheduling?.flags ?? [], b.scheduling?.flags ?? [])
  );
}

/** Nothing a proxy reads differs. */
export function sameServiceCIDR(a: ServiceCIDR, b: ServiceCIDR): boolean {
  return a.name === b.name && sameList(a.networks, b.networks, (one, other) => one.text === other.text);
}

function samePort(a: ServicePort, b: ServicePort): boolean {
  return a.key === b.key && a.protocol === b.protocol && a.port === b.port && a.nodePort === b.nodePort;
}

function sameList<Item>(
  a: readonly Item[],
  b: readonly Item[] | undefined,
  same: (a: Item, b: Item) => boolean = Object.is,
): boolean {
  if (a === b) return true;
  if (b === undefined || a.length !== b.length) return false;
  return a.every((item, index) => {
    const other = b[index];
    return other !== undefined && same(item, other);
  });
}
