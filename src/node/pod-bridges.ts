import type { BridgeFacts } from "../kernel/kernel.ts";
import { type Cidr, cidrContains, familyOf, type IPFamily } from "../model/address.ts";

/** How a bridge of pods is known: by its name, or by an address in one of their networks. */
export interface PodPlaces {
  /** "" when none is named. */
  readonly bridge: string;
  readonly networks: readonly Cidr[];
}

const CURES = {
  IPv4: "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1",
  IPv6: "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-ip6tables=1",
} as const;

/**
 * What is wrong when pods share a bridge whose packets do not pass netfilter, and what to do. A pod that reaches another pod of
 * its bridge through a Service waits in vain there: the answer goes over the bridge, past IPVS, and comes from an address that the
 * client has not asked.
 */
export function describePodBridges({ bridges, unfiltered }: BridgeFacts, places: PodPlaces): readonly string[] {
  return bridges.flatMap(({ name, addresses }) => {
    const holdsPods = (family: IPFamily) =>
      addresses.some(
        (address) =>
          familyOf(address) === family &&
          (name === places.bridge || places.networks.some((network) => cidrContains(network, address))),
      );
    return unfiltered
      .filter(holdsPods)
      .map(
        (family) =>
          `Pods share the bridge "${name}", and its ${family} packets do not pass IPVS: a pod that reaches another pod of this ` +
          `node through a Service gets no answer. On the host: ${CURES[family]}`,
      );
  });
}
