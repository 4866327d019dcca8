import { addressPort, type Cidr, familyOf, type IPAddress, type IPFamily, UNSPECIFIED } from "../model/address.ts";
import { type ClusterNode, KUBERNETES } from "../model/cluster/service.ts";
import { identical, type Same, sameFields, sameList, sameMap, sameValues } from "../model/equality.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import { specialPurpose } from "../model/special-address.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import { type NodePortSelection, resolveNodePortAddresses, selectsAll } from "./node-port-addresses.ts";
import {
  type ApiServer,
  type KnownAddresses,
  type ReservedAddresses,
  reservedAddresses,
} from "./reserved-addresses.ts";

/** Where we are and how we were told to work: the second argument of everything a Service can want. */
export interface NodeFacts {
  readonly nodeName: string;
  /** "" when unknown. */
  readonly zone: string;
  readonly families: readonly IPFamily[];
  /** On which NodePorts answer; resolved, sorted, without loopback. */
  readonly nodePortAddresses: readonly IPAddress[];
  /** On which health check node ports answer: as above, but an unspecified address where NodePorts answer on all of a family. */
  readonly healthCheckAddresses: readonly IPAddress[];
  readonly reserved: ReservedAddresses;
  /** Of all interfaces but kube-ipvs0, sorted, without those of a special purpose (loopback, link-local). */
  readonly ownAddresses: readonly IPAddress[];
  /** Sorted, none twice. */
  readonly apiServers: readonly ApiServer[];
  /** Of the cluster and of all Nodes that are known, sorted, none twice; never one that holds all addresses. */
  readonly podNetworks: readonly Cidr[];
  /** The bits of the packet mark for local traffic. */
  readonly localMarkMask: number;
  readonly scheduler: Scheduler;
  /** Those that this kernel was asked for in vain, sorted. */
  readonly missingSchedulers: readonly Scheduler[];
}

/** What was found out around this node. */
export interface Surroundings extends KnownAddresses {
  readonly missingSchedulers: readonly Scheduler[];
}

/** The part of the configuration that facts depend on. */
export interface NodeChoices {
  readonly nodeName: string;
  /** Instead of what the Node object says; empty: not given. */
  readonly nodeIPs: readonly IPAddress[];
  /** Empty: every address. */
  readonly nodePortAddresses: NodePortSelection;
  /** Networks of addresses that Services may have though they are this node's. */
  readonly sharedVips: readonly Cidr[];
  /** Where all pods live. */
  readonly clusterCidrs: readonly Cidr[];
  readonly localMarkMask: number;
  readonly scheduler: Scheduler;
}

/** Of a node about which nothing was found out yet. */
export const NO_SURROUNDINGS: Surroundings = { nodes: [], addresses: [], apiServers: [], missingSchedulers: [] };

/** What is so on this node: how it was configured, and what was found out around it. */
export function nodeFacts(choices: NodeChoices, families: readonly IPFamily[], surroundings: Surroundings): NodeFacts {
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

function podNetworksOf({ clusterCidrs }: NodeChoices, nodes: readonly ClusterNode[]): readonly Cidr[] {
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

/** The node's IPs: those configured, else the first of each family of its Node object. */
export function nodeIPsOf(choices: NodeChoices, node: ClusterNode | undefined): readonly IPAddress[] {
  if (choices.nodeIPs.length > 0) return choices.nodeIPs;
  const addresses = node?.addresses ?? [];
  return addresses.filter((address, index) => addresses.findIndex((a) => familyOf(a) === familyOf(address)) === index);
}

/** Whether nothing that a Service can want would come out differently. */
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

/** Whether the facts of this node may come out differently after the event: its Node, and who the API servers are. */
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
