import type { Cidr, IPFamily } from "../../model/address.ts";

/** How packets of pods are told from others, with kube-proxy's names. */
export type LocalMode = "ClusterCIDR" | "NodeCIDR" | "BridgeInterface" | "InterfaceNamePrefix";

export interface PodMatchOptions {
  readonly mode: LocalMode;
  /** ClusterCIDR: where the pods of the whole cluster live. */
  readonly clusterCIDRs: readonly Cidr[];
  /** NodeCIDR: where the pods of this node live. */
  readonly podCIDRs: readonly Cidr[];
  /** BridgeInterface: the bridge on which pods arrive. */
  readonly bridge: string;
  /** InterfaceNamePrefix: how the names of the interfaces of pods begin. */
  readonly interfacePrefix: string;
}

/** The match of iptables for packets of pods; undefined where the mode knows nothing of the family. */
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

/** Of several networks the first counts. */
function sourceMatch(networks: readonly Cidr[], family: IPFamily): string | undefined {
  const network = networks.find((candidate) => candidate.family === family);
  return network === undefined ? undefined : `-s ${network.text}`;
}
