import { type Cidr, familyOf, type IPAddress, type IPFamily } from "../model/address.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";

/** The part of the configuration that determines the families of the cluster. */
export interface FamilyOptions {
  readonly nodeIPs: readonly IPAddress[];
  readonly clusterCidrs: readonly Cidr[];
}

/** Returns the families in the configuration; IPv4 if it contains none. */
export function configuredFamilies({ nodeIPs, clusterCidrs }: FamilyOptions): readonly IPFamily[] {
  const named = [...nodeIPs.map(familyOf), ...clusterCidrs.map(({ family }) => family)];
  return named.length === 0 ? ["IPv4"] : [...new Set(named)];
}

/**
 * Returns the families that the event shows to be in use: those of the Node of this node, and of cluster IPs. The other
 * addresses of a Service add none, because they must be of a family of its cluster IPs.
 */
export function familiesShown(event: ClusterEvent, nodeName: string): readonly IPFamily[] {
  switch (event.kind) {
    case "service-upserted":
      return event.service.clusterIPs.map(familyOf);
    case "node-upserted":
      if (event.node.name !== nodeName) return [];
      return [...event.node.addresses.map(familyOf), ...event.node.podCIDRs.map(({ family }) => family)];
    case "node-deleted":
    case "service-deleted":
    case "slice-upserted":
    case "slice-deleted":
    case "servicecidr-upserted":
    case "servicecidr-deleted":
    case "listed":
      return [];
  }
}
