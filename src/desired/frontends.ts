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
import { only } from "../model/only.ts";
import type { PortKey, Protocol, Service, ServicePort } from "../model/service.ts";
import type { NodeFacts } from "./node-facts.ts";
import { allowedVips } from "./vip-guard.ts";

/** One address and port of this node on which one port of a Service answers. */
export interface Frontend {
  readonly kind: "cluster-ip" | "external-ip" | "load-balancer" | "node-port";
  readonly protocol: Protocol;
  readonly address: IPAddress;
  readonly port: number;
  readonly portKey: PortKey;
}

/** All frontends of a Service on this node, in the order of its ports and addresses. One refused here costs no other. */
export function frontends(service: Service, facts: NodeFacts): readonly Frontend[] {
  const clusterIPs = vips(service.clusterIPs, facts);
  const externalIPs = vips(service.externalIPs, facts);
  const loadBalancerIPs = vips(service.loadBalancerIPs, facts);
  const nodeIPs = service.ports.some(({ nodePort }) => nodePort !== 0) ? nodeIPsFor(service, facts) : [];
  const found: Frontend[] = [];
  for (const { key: portKey, protocol, port, nodePort } of service.ports) {
    for (const address of clusterIPs) found.push({ kind: "cluster-ip", protocol, address, port, portKey });
    for (const address of loadBalancerIPs) found.push({ kind: "load-balancer", protocol, address, port, portKey });
    for (const address of externalIPs) found.push({ kind: "external-ip", protocol, address, port, portKey });
    if (nodePort === 0) continue;
    for (const address of nodeIPs) found.push({ kind: "node-port", protocol, address, port: nodePort, portKey });
  }
  return found;
}

/** Those of the addresses that the Service may have here. */
function vips(addresses: readonly IPAddress[], { families, reserved }: NodeFacts): readonly IPAddress[] {
  if (addresses.length === 0) return addresses;
  return allowedVips(
    only(addresses, (address) => families.includes(familyOf(address))),
    reserved,
  );
}

/** A NodePort answers in the families of the Service. */
function nodeIPsFor({ clusterIPs }: Service, { families, nodePortAddresses }: NodeFacts): readonly IPAddress[] {
  const served = families.filter((family) => clusterIPs.some((address) => familyOf(address) === family));
  return only(nodePortAddresses, (address) => served.includes(familyOf(address)));
}

/** Whether it is for clients outside the cluster, and so under the external traffic policy. */
export function isOutside({ kind }: Frontend): boolean {
  return kind !== "cluster-ip";
}

/** The ports of a Service that clients outside the cluster can reach. */
export function exposedPorts({ ports, externalIPs, loadBalancerIPs }: Service): readonly ServicePort[] {
  if (externalIPs.length > 0 || loadBalancerIPs.length > 0) return ports;
  return only(ports, ({ nodePort }) => nodePort !== 0);
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
  if (selectsAll(selection, family)) return (address) => !isIPv6LinkLocal(address);
  return (address) => (selection ?? []).some((network) => cidrContains(network, address));
}

/** Whether NodePorts of the family answer on every address, whatever addresses there will be. */
export function selectsAll(selection: NodePortSelection, family: IPFamily): boolean {
  if (selection === "primary") return false;
  const networks = (selection ?? []).filter((network) => network.family === family);
  return networks.length === 0 || networks.some((network) => network.prefix === 0);
}
