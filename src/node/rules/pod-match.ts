import type { Cidr, IPFamily } from "../../model/address.ts";

/** How packets of pods are recognised, with the names of kube-proxy. */
export type LocalMode = "ClusterCIDR" | "NodeCIDR" | "BridgeInterface" | "InterfaceNamePrefix";

export interface PodMatchOptions {
  readonly mode: LocalMode;
  /** ClusterCIDR: the networks of all pods of the cluster. */
  readonly clusterCIDRs: readonly Cidr[];
  /** NodeCIDR: the networks of the pods on this node. */
  readonly podCIDRs: readonly Cidr[];
  /** BridgeInterface: the bridge to which pods are connected. */
  readonly bridge: string;
  /** InterfaceNamePrefix: the prefix of the interface names of pods. */
  readonly interfacePrefix: string;
}

/** Returns the iptables match for packets of pods; undefined if the mode has no setting for the family. */
export function podMatch(options: PodMatchOptions, family: IPFamily): string | undefined {
  switch (options.mode) {
    case "ClusterCIDR":
      return sourceMatch(options.clusterCIDRs, family);
    case "NodeCIDR":
      return sourceMatch(options.podCIDRs, family);
    case "BridgeInterface":
      return `-i ${options.bridge}`;
    case "InterfaceNamePrefix":
      return `-i ${options.interfacePrefix}+`;
  }
}

/** Returns a match for the first network of the family. */
function sourceMatch(networks: readonly Cidr[], family: IPFamily): string | undefined {
  const network = networks.find((candidate) => candidate.family === family);
  return network === undefined ? undefined : `-s ${network.text}`;
}
