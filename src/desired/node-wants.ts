import { type Cidr, familyOf } from "../model/address.ts";
import { serviceName } from "../model/cluster/service.ts";
import { addressEntry, ipset, networkEntry } from "../model/kernel/ipset.ts";
import type { NodeFacts } from "../node/node-facts.ts";
import type { Wants } from "./service/wants.ts";

/** Who wants what no Service wants: no Service can have this name. */
export const THE_NODE = serviceName("", "");

/**
 * What this node wants of its kernel for no Service in particular: to know on which addresses NodePorts are asked for, and
 * in which networks ClusterIPs lie. A network of everything is none.
 */
export function nodeWants({ families, nodePortAddresses }: NodeFacts, serviceNetworks: readonly Cidr[]): Wants {
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
