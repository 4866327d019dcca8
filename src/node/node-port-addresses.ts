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

/** How `--nodeport-addresses` chooses: networks, the node's own IPs, or (undefined) everything. */
export type NodePortSelection = readonly Cidr[] | "primary" | undefined;

/**
 * The addresses on which NodePorts answer, sorted. Never loopback, whatever is selected.
 * - undefined, or networks without one of a family: all of the family but IPv6 link-local.
 * - networks: what they contain; IPv6 link-local too if one of them asks for it.
 * - "primary": the node's IPs that it really has. A family whose node IP is unknown gets none: an unknown IP must not
 *   open NodePorts to every network the node is in.
 * `nodeAddresses` are those of all interfaces but kube-ipvs0: a ClusterIP must never answer on NodePorts.
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

/** Whether NodePorts of the family answer on every address, whatever addresses there will be. */
export function selectsAll(selection: NodePortSelection, family: IPFamily): boolean {
  if (selection === "primary") return false;
  const networks = (selection ?? []).filter((network) => network.family === family);
  return networks.length === 0 || networks.some((network) => network.prefix === 0);
}
