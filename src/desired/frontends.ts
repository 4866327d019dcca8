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
import type { PortKey, Protocol, Service } from "../model/service.ts";
import type { NodeFacts } from "./node-facts.ts";
import { allowedVips } from "./vip-guard.ts";

/** One address and port of this node on which one port of a Service answers. */
export interface Frontend {
  readonly kind: "cluster-ip" | "node-port";
  readonly protocol: Protocol;
  readonly address: IPAddress;
  readonly port: number;
  readonly portKey: PortKey;
}

/** All frontends of a Service on this node, in the order of its ports and addresses. One refused here costs no other. */
export function frontends(service: Service, facts: NodeFacts): readonly Frontend[] {
  const served = service.clusterIPs.filter((address) => facts.families.includes(familyOf(address)));
  const clusterIPs = allowedVips(served, facts.reserved);
  const families = new Set(served.map(familyOf));
  const nodeIPs = facts.nodePortAddresses.filter((address) => families.has(familyOf(address)));
  return service.ports.flatMap(({ key: portKey, protocol, port, nodePort }) => [
    ...clusterIPs.map((address): Frontend => ({ kind: "cluster-ip", protocol, address, port, portKey })),
    ...(nodePort === 0 ? [] : nodeIPs).map(
      (address): Frontend => ({ kind: "node-port", protocol, address, port: nodePort, portKey }),
    ),
  ]);
}

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
  const networks = (selection ?? []).filter((network) => network.family === family);
  const all = networks.length === 0 || networks.some((network) => network.prefix === 0);
  if (all) return (address) => !isIPv6LinkLocal(address);
  return (address) => networks.some((network) => cidrContains(network, address));
}
