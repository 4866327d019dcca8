import { familyOf, type IPAddress } from "../../model/address.ts";
import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { PortKey, Protocol, Service, ServicePort } from "../../model/cluster/service.ts";
import { only } from "../../model/only.ts";
import type { NodeFacts } from "../../node/node-facts.ts";
import { allowedBalancers, allowedExternals, allowedVips, isApiServer } from "./vip-guard.ts";

/** An address and port on this node that serve one port of a Service. */
export interface Frontend {
  readonly kind: "cluster-ip" | "external-ip" | "load-balancer" | "node-port";
  readonly protocol: Protocol;
  readonly address: IPAddress;
  readonly port: number;
  readonly portKey: PortKey;
}

/**
 * The maximum number of frontends of one Service on a node. A manifest of 28 KiB can contain 700 ports and 700 external
 * IPs, which are 490,000 virtual servers. Without a limit every author of a Service could stop all nodes of a cluster.
 */
export const FRONTEND_LIMIT = 10_000;

/**
 * Returns the frontends of a Service on this node. A refused frontend does not affect the others. They are sorted by
 * precedence, and within a kind by port and then address. If there are more than FRONTEND_LIMIT, the first ones are
 * used.
 */
export function frontends(service: Service, facts: NodeFacts): readonly Frontend[] {
  return firstFrontends(service, facts, FRONTEND_LIMIT);
}

/** Returns one problem if the Service has more than FRONTEND_LIMIT frontends. */
export function frontendProblems(service: Service, facts: NodeFacts): readonly Problem[] {
  const { ports, clusterIPs, loadBalancerIPs, externalIPs } = service;
  const perPort = clusterIPs.length + loadBalancerIPs.length + externalIPs.length;
  if (ports.length * (perPort + facts.nodePortAddresses.length) <= FRONTEND_LIMIT) return NONE;
  if (firstFrontends(service, facts, FRONTEND_LIMIT + 1).length <= FRONTEND_LIMIT) return NONE;
  const count = ports.length * perPort + exposedByNode(ports).length * nodeIPsFor(service, facts).length;
  const reason = `frontends (ports times addresses) exceed the limit of ${FRONTEND_LIMIT}: the last ones are not programmed (order: cluster IPs, NodePorts, load balancers, external IPs)`;
  return [{ object: problemObject("Service", service.name), field: "spec", value: String(count), reason }];
}

const NONE: readonly Problem[] = [];

function firstFrontends(service: Service, facts: NodeFacts, limit: number): readonly Frontend[] {
  const { ports } = service;
  const withNodePort = exposedByNode(ports);
  const found: Frontend[] = [];
  const add = (kind: Frontend["kind"], kindPorts: readonly ServicePort[], addresses: readonly IPAddress[]): void => {
    if (addresses.length === 0) return;
    for (const servicePort of kindPorts) {
      for (const address of addresses) {
        if (found.length >= limit) return;
        const frontend = frontendAt(kind, servicePort, address);
        if (!isTaken(frontend, facts)) found.push(frontend);
      }
    }
  };
  add("cluster-ip", ports, vips(service.clusterIPs, facts));
  if (withNodePort.length > 0) add("node-port", withNodePort, nodeIPsFor(service, facts));
  add("load-balancer", ports, allowedBalancers(served(service.loadBalancerIPs, facts), facts));
  add("external-ip", ports, allowedExternals(served(service.externalIPs, facts), facts));
  return found;
}

function frontendAt(
  kind: Frontend["kind"],
  { key: portKey, protocol, port, nodePort }: ServicePort,
  address: IPAddress,
): Frontend {
  return { kind, protocol, address, port: kind === "node-port" ? nodePort : port, portKey };
}

/** Whether the frontend is the address and port of an API server. The other kinds have no addresses of API servers. */
function isTaken({ kind, address, port }: Frontend, { apiServers }: NodeFacts): boolean {
  return kind === "load-balancer" && isApiServer(address, port, apiServers);
}

function exposedByNode(ports: readonly ServicePort[]): readonly ServicePort[] {
  return only(ports, ({ nodePort }) => nodePort !== 0);
}

/** The addresses that the Service may have on this node. */
function vips(addresses: readonly IPAddress[], facts: NodeFacts): readonly IPAddress[] {
  return addresses.length === 0 ? addresses : allowedVips(served(addresses, facts), facts.reserved);
}

/** The addresses in the families of this node. */
function served(addresses: readonly IPAddress[], { families }: NodeFacts): readonly IPAddress[] {
  return addresses.length === 0 ? addresses : only(addresses, (address) => families.includes(familyOf(address)));
}

/** The NodePort addresses in the families of the Service. */
function nodeIPsFor({ clusterIPs }: Service, { families, nodePortAddresses }: NodeFacts): readonly IPAddress[] {
  const wanted = families.filter((family) => clusterIPs.some((address) => familyOf(address) === family));
  return only(nodePortAddresses, (address) => wanted.includes(familyOf(address)));
}

/** Whether the frontend serves clients outside the cluster, so that the external traffic policy applies. */
export function isOutside({ kind }: Frontend): boolean {
  return kind !== "cluster-ip";
}

/** The ports of a Service that clients outside the cluster can reach. */
export function exposedPorts({ ports, externalIPs, loadBalancerIPs }: Service): readonly ServicePort[] {
  if (externalIPs.length > 0 || loadBalancerIPs.length > 0) return ports;
  return exposedByNode(ports);
}
