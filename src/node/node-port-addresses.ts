import {
  type Cidr,
  cidrContains,
  FAMILIES,
  familyOf,
  type IPAddress,
  type IPFamily,
  isIPv6LinkLocal,
  isLoopback,
} from "../model/address.ts";

/** The value of `--nodeport-addresses`: networks, the node's IPs, or (undefined) all addresses. */
export type NodePortSelection = readonly Cidr[] | "primary" | undefined;

/**
 * Returns the addresses that serve NodePorts, sorted. Loopback addresses are never selected.
 * - undefined, or no network of a family: all addresses of the family except IPv6 link-local.
 * - networks: the addresses in them; IPv6 link-local ones only if a network selects them.
 * - "primary": the node's IPs that are on an interface. A family without a known node IP gets no address: otherwise
 *   NodePorts would be open to every network of the node.
 *
 * `nodeAddresses` are those of all interfaces except kube-ipvs0: a ClusterIP must never serve NodePorts.
 */
export function resolveNodePortAddresses(
  selection: NodePortSelection,
  nodeAddresses: readonly IPAddress[],
  nodeIPs: readonly IPAddress[],
): readonly IPAddress[] {
  const chosen = FAMILIES.flatMap((family) => {
    const selects = selector(selection, family, nodeIPs);
    return nodeAddresses.filter((address) => familyOf(address) === family && !isLoopback(address) && selects(address));
  });
  return [...new Set(chosen)].sort();
}

function selector(
  selection: NodePortSelection,
  family: IPFamily,
  nodeIPs: readonly IPAddress[],
): (address: IPAddress) => boolean {
  if (selection === "primary") return (address) => nodeIPs.includes(address);
  if (selectsAll(selection, family)) return (address) => !isIPv6LinkLocal(address);
  return (address) => (selection ?? []).some((network) => cidrContains(network, address));
}

/** Whether NodePorts of the family are served on all addresses, including future ones. */
export function selectsAll(selection: NodePortSelection, family: IPFamily): boolean {
  if (selection === "primary") return false;
  const networks = (selection ?? []).filter((network) => network.family === family);
  return networks.length === 0 || networks.some((network) => network.prefix === 0);
}
