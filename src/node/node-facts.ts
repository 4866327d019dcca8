import {
  addressPort,
  type Cidr,
  familyOf,
  type IPAddress,
  type IPFamily,
  specialPurpose,
  UNSPECIFIED,
} from "../model/address.ts";
import { type ClusterNode, KUBERNETES } from "../model/cluster/service.ts";
import { identical, type Same, sameFields, sameList, sameMap, sameValues } from "../model/equality.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import { type NodePortSelection, resolveNodePortAddresses, selectsAll } from "./node-port-addresses.ts";
import {
  type ApiServer,
  type KnownAddresses,
  type ReservedAddresses,
  reservedAddresses,
} from "./reserved-addresses.ts";

/** The properties of this node on which Services depend: its identity, addresses and configuration. */
export interface NodeFacts {
  readonly nodeName: string;
  /** "" if unknown. */
  readonly zone: string;
  readonly families: readonly IPFamily[];
  /** The addresses that serve NodePorts; sorted, without loopback. */
  readonly nodePortAddresses: readonly IPAddress[];
  /**
   * The addresses that serve health check node ports. They are those that serve NodePorts, or the unspecified address
   * for a family in which all addresses serve NodePorts.
   */
  readonly healthCheckAddresses: readonly IPAddress[];
  readonly reserved: ReservedAddresses;
  /**
   * The addresses of all interfaces except kube-ipvs0; sorted, without special-purpose addresses (loopback,
   * link-local).
   */
  readonly ownAddresses: readonly IPAddress[];
  /** The known API servers; sorted, without duplicates. */
  readonly apiServers: readonly ApiServer[];
  /**
   * The pod networks of the cluster and of all known Nodes; sorted, without duplicates and without networks of prefix
   * 0.
   */
  readonly podNetworks: readonly Cidr[];
  /** The bits of the packet mark for local traffic. */
  readonly localMarkMask: number;
  readonly scheduler: Scheduler;
  /** The schedulers that this kernel has refused as missing, sorted. */
  readonly missingSchedulers: readonly Scheduler[];
}

/** The discovered facts on which the node facts depend. */
export interface DiscoveredFacts extends KnownAddresses {
  readonly missingSchedulers: readonly Scheduler[];
}

/** The part of the configuration on which facts depend. */
export interface NodeFactsOptions {
  readonly nodeName: string;
  /** The IPs of the node, instead of those in its Node object; empty: not configured. */
  readonly nodeIPs: readonly IPAddress[];
  /** The IP of the node in its family, instead of that in its Node object; an unspecified address for none. */
  readonly bindAddress: IPAddress;
  /** The selection of NodePort addresses; undefined: all addresses. */
  readonly nodePortAddresses: NodePortSelection;
  /** The networks of node addresses that Services may have. */
  readonly sharedVips: readonly Cidr[];
  /** The networks of all pods. */
  readonly clusterCidrs: readonly Cidr[];
  readonly localMarkMask: number;
  readonly scheduler: Scheduler;
}

/** The facts before anything was discovered. */
export const NOTHING_DISCOVERED: DiscoveredFacts = { nodes: [], addresses: [], apiServers: [], missingSchedulers: [] };

/** Computes the facts of this node from its configuration and the discovered facts. */
export function nodeFacts(
  choices: NodeFactsOptions,
  families: readonly IPFamily[],
  surroundings: DiscoveredFacts,
): NodeFacts {
  const { nodes, addresses, missingSchedulers } = surroundings;
  const node = nodes.find(({ name }) => name === choices.nodeName);
  const nodeIPs = nodeIPsOf(choices, node);
  const nodePortAddresses = resolveNodePortAddresses(choices.nodePortAddresses, addresses, nodeIPs);
  return {
    nodeName: choices.nodeName,
    zone: node?.zone ?? "",
    families,
    nodePortAddresses,
    healthCheckAddresses: families.flatMap((family) =>
      selectsAll(choices.nodePortAddresses, family)
        ? [UNSPECIFIED[family]]
        : nodePortAddresses.filter((address) => familyOf(address) === family),
    ),
    reserved: reservedAddresses(surroundings, choices.nodeName, choices.sharedVips),
    ownAddresses: [...new Set(addresses)].filter((address) => specialPurpose(address) === undefined).sort(),
    apiServers: sortedServers(surroundings.apiServers),
    podNetworks: podNetworksOf(choices, nodes),
    localMarkMask: choices.localMarkMask,
    scheduler: choices.scheduler,
    missingSchedulers: missingSchedulers.toSorted(),
  };
}

function podNetworksOf({ clusterCidrs }: NodeFactsOptions, nodes: readonly ClusterNode[]): readonly Cidr[] {
  const all = [...clusterCidrs, ...nodes.flatMap(({ podCIDRs }) => podCIDRs)].filter(({ prefix }) => prefix > 0);
  const byText = new Map(all.map((network) => [network.text, network]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, network]) => network);
}

function sortedServers(servers: readonly ApiServer[]): readonly ApiServer[] {
  const byText = new Map(servers.map((server) => [textOf(server), server]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, server]) => server);
}

function textOf({ address, port }: ApiServer): string {
  return addressPort(address, port);
}

/**
 * Returns the node's IPs, the primary one first: the configured ones, or else the first of each family in its Node object. The
 * bind address, if it is specified, replaces that of its family and is the primary one, as in kube-proxy.
 */
export function nodeIPsOf(choices: NodeFactsOptions, node: ClusterNode | undefined): readonly IPAddress[] {
  if (choices.nodeIPs.length > 0) return choices.nodeIPs;
  const own = specified(choices.bindAddress);
  const addresses = [...own, ...(node?.addresses ?? [])];
  return addresses.filter((address, index) => addresses.findIndex((a) => familyOf(a) === familyOf(address)) === index);
}

function specified(address: IPAddress): readonly IPAddress[] {
  return address === UNSPECIFIED[familyOf(address)] ? [] : [address];
}

/** Whether two facts are equal, so that no Service depends on their difference. */
export const sameNodeFacts: Same<NodeFacts> = sameFields<NodeFacts>({
  nodeName: identical,
  zone: identical,
  scheduler: identical,
  localMarkMask: identical,
  missingSchedulers: sameValues,
  families: sameValues,
  nodePortAddresses: sameValues,
  ownAddresses: sameValues,
  healthCheckAddresses: sameValues,
  podNetworks: sameList((a, b) => a.text === b.text),
  apiServers: sameList(sameFields<ApiServer>({ address: identical, port: identical })),
  reserved: sameMap(identical),
});

/** Whether the event may change the facts of this node: it concerns a Node or the API servers. */
export function isAboutNode(event: ClusterEvent): boolean {
  switch (event.kind) {
    case "node-upserted":
    case "node-deleted":
    case "listed":
      return true;
    case "service-upserted":
      return event.service.name === KUBERNETES;
    case "slice-upserted":
      return event.slice.service === KUBERNETES;
    case "service-deleted":
    case "slice-deleted":
    case "servicecidr-upserted":
    case "servicecidr-deleted":
      return false;
  }
}

/** The part of the configuration that determines the families of the cluster. */
export interface FamilyOptions {
  readonly nodeIPs: readonly IPAddress[];
  readonly bindAddress: IPAddress;
  readonly clusterCidrs: readonly Cidr[];
}

/** Returns the families in the configuration; IPv4 if it contains none. */
export function configuredFamilies({ nodeIPs, bindAddress, clusterCidrs }: FamilyOptions): readonly IPFamily[] {
  const named = [...[...nodeIPs, ...specified(bindAddress)].map(familyOf), ...clusterCidrs.map(({ family }) => family)];
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
