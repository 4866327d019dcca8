import { addressPort, type Cidr, cidrContains, type IPAddress, specialPurpose } from "../../model/address.ts";
import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { Service } from "../../model/cluster/service.ts";
import { only } from "../../model/only.ts";
import type { ApiServer, ReservedAddresses } from "../../node/reserved-addresses.ts";

/** The facts of a node that determine which addresses a Service may have there. */
export interface GuardFacts {
  readonly reserved: ReservedAddresses;
  /** The addresses of all interfaces of this node except kube-ipvs0. */
  readonly ownAddresses: readonly IPAddress[];
  readonly apiServers: readonly ApiServer[];
  /** The known networks of pods. */
  readonly podNetworks: readonly Cidr[];
}

/** The reason, as a clause, why no Service may have the address on this node; undefined if a Service may. */
export function vipFault(address: IPAddress, reserved: ReservedAddresses): string | undefined {
  return specialPurpose(address) ?? reserved.get(address);
}

/**
 * As `vipFault`, for an external IP. Every author of a Service can write external IPs. If one were the address of a
 * pod, no node could reach that pod, which may be the cluster's DNS.
 */
export function externalFault(address: IPAddress, { reserved, podNetworks }: GuardFacts): string | undefined {
  const fault = vipFault(address, reserved);
  if (fault !== undefined) return fault;
  const network = podNetworks.find((candidate) => cidrContains(candidate, address));
  return network === undefined ? undefined : `is in the pod network ${network.text}`;
}

/**
 * As `vipFault`, for the address of a load balancer. Controllers write these, not tenants. kube-vip, keepalived and k3s
 * use addresses that the node has on an interface: these are served there, and the other ports of the node stay
 * reachable.
 */
export function balancerFault(address: IPAddress, { reserved, ownAddresses }: GuardFacts): string | undefined {
  const fault = vipFault(address, reserved);
  return fault !== undefined && reserved.has(address) && ownAddresses.includes(address) ? undefined : fault;
}

/** Whether an API server uses the address and port. No Service may have them, not even on an address of this node. */
export function isApiServer(address: IPAddress, port: number, apiServers: readonly ApiServer[]): boolean {
  return apiServers.some((server) => server.port === port && server.address === address);
}

/** The addresses that a Service may have on this node. */
export function allowedVips(addresses: readonly IPAddress[], reserved: ReservedAddresses): readonly IPAddress[] {
  return only(addresses, (address) => vipFault(address, reserved) === undefined);
}

/** The external IPs that a Service may have on this node. */
export function allowedExternals(addresses: readonly IPAddress[], facts: GuardFacts): readonly IPAddress[] {
  return only(addresses, (address) => externalFault(address, facts) === undefined);
}

/** The load balancer addresses that a Service may have on this node. */
export function allowedBalancers(addresses: readonly IPAddress[], facts: GuardFacts): readonly IPAddress[] {
  return only(addresses, (address) => balancerFault(address, facts) === undefined);
}

/**
 * Returns one problem for each address that the Service may not have on this node, and for each address and port of an
 * API server.
 */
export function vipProblems(service: Service, facts: GuardFacts): readonly Problem[] {
  const { clusterIPs, externalIPs, loadBalancerIPs, ports } = service;
  const isOrdinary = externalIPs.length === 0 && loadBalancerIPs.length === 0;
  if (isOrdinary && clusterIPs.every((address) => vipFault(address, facts.reserved) === undefined)) return NONE;
  const problems: Problem[] = [];
  const reject = (field: string, value: string, reason: string | undefined): void => {
    if (reason !== undefined) problems.push({ object: problemObject("Service", service.name), field, value, reason });
  };
  for (const address of clusterIPs) reject("spec.clusterIPs", address, vipFault(address, facts.reserved));
  for (const address of externalIPs) reject("spec.externalIPs", address, externalFault(address, facts));
  for (const address of loadBalancerIPs) reject(BALANCERS, address, balancerFault(address, facts));
  for (const { address, port } of facts.apiServers) {
    const isAsked = loadBalancerIPs.includes(address) && ports.some((asked) => asked.port === port);
    if (isAsked && balancerFault(address, facts) === undefined)
      reject(BALANCERS, addressPort(address, port), "is the address and port of an API server");
  }
  return problems;
}

const NONE: readonly Problem[] = [];
const BALANCERS = "status.loadBalancer.ingress";
