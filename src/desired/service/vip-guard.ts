import { addressPort, type Cidr, cidrContains, type IPAddress } from "../../model/address.ts";
import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { Service } from "../../model/cluster/service.ts";
import { only } from "../../model/only.ts";
import { specialPurpose } from "../../model/special-address.ts";
import type { ApiServer, ReservedAddresses } from "../../node/reserved-addresses.ts";

/** What of the facts of a node says which addresses a Service may have there. */
export interface GuardFacts {
  readonly reserved: ReservedAddresses;
  /** Of all interfaces of this node but kube-ipvs0. */
  readonly ownAddresses: readonly IPAddress[];
  readonly apiServers: readonly ApiServer[];
  /** Where pods live, as far as it is known. */
  readonly podNetworks: readonly Cidr[];
}

/** Why no Service may have the address here, as a clause; undefined when one may. */
export function vipFault(address: IPAddress, reserved: ReservedAddresses): string | undefined {
  return specialPurpose(address) ?? reserved.get(address);
}

/**
 * As `vipFault`, for an external IP. Whoever may write a Service writes those, and one that is a pod's address would cut that
 * pod, the cluster's DNS perhaps, off from every node.
 */
export function externalFault(address: IPAddress, { reserved, podNetworks }: GuardFacts): string | undefined {
  const fault = vipFault(address, reserved);
  if (fault !== undefined) return fault;
  const network = podNetworks.find((candidate) => cidrContains(candidate, address));
  return network === undefined ? undefined : `is in a network of pods, ${network.text}`;
}

/**
 * As `vipFault`, for the address of a load balancer. Controllers write those, not tenants, and kube-vip, keepalived and
 * k3s give addresses that the node has on an interface: there it is served in place, where it costs the node no other port.
 */
export function balancerFault(address: IPAddress, { reserved, ownAddresses }: GuardFacts): string | undefined {
  const fault = vipFault(address, reserved);
  return fault !== undefined && reserved.has(address) && ownAddresses.includes(address) ? undefined : fault;
}

/** Whether an API server answers at the address and port: nobody else may, not even in place. */
export function isApiServer(address: IPAddress, port: number, apiServers: readonly ApiServer[]): boolean {
  return apiServers.some((server) => server.port === port && server.address === address);
}

/** The addresses that a Service may have here. */
export function allowedVips(addresses: readonly IPAddress[], reserved: ReservedAddresses): readonly IPAddress[] {
  return only(addresses, (address) => vipFault(address, reserved) === undefined);
}

/** The external IPs that a Service may have here. */
export function allowedExternals(addresses: readonly IPAddress[], facts: GuardFacts): readonly IPAddress[] {
  return only(addresses, (address) => externalFault(address, facts) === undefined);
}

/** The addresses of load balancers that a Service may have here. */
export function allowedBalancers(addresses: readonly IPAddress[], facts: GuardFacts): readonly IPAddress[] {
  return only(addresses, (address) => balancerFault(address, facts) === undefined);
}

/** One for each address of the Service that it may not have here, and for each address and port of an API server. */
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
