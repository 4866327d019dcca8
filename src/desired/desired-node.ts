import { type Cidr, familyOf } from "../model/address.ts";
import { serviceName } from "../model/cluster/service.ts";
import { addressEntry, ipset, networkEntry } from "../model/kernel/ipset.ts";
import type { NodeFacts } from "../node/node-facts.ts";
import type { DesiredService } from "./service/desired-service.ts";

/** The owner of objects that belong to no Service. No Service can have this name. */
export const THE_NODE = serviceName("", "");

/**
 * The desired state of this node that does not depend on Services: the addresses on which NodePorts are served, and the
 * networks of ClusterIPs. A network with prefix 0 is left out.
 */
export function buildDesiredNode(
  { families, nodePortAddresses }: NodeFacts,
  serviceNetworks: readonly Cidr[],
): DesiredService {
  const networks = serviceNetworks.filter(({ family, prefix }) => families.includes(family) && prefix > 0);
  return {
    servers: [],
    addresses: [],
    entries: [
      ...nodePortAddresses.map((address) => addressEntry(ipset("KUBE-NODE-PORT-IPS", familyOf(address)), address)),
      ...networks.map((network) => networkEntry(ipset("KUBE-SERVICE-CIDR", network.family), network)),
    ],
  };
}
