import type { BridgeFacts } from "../kernel/kernel.ts";
import { type Cidr, cidrContains, familyOf, type IPFamily } from "../model/address.ts";

/** The properties that identify a bridge of pods: its name, or an address in a pod network. */
export interface PodPlaces {
  /** "" if no bridge is configured. */
  readonly bridge: string;
  readonly networks: readonly Cidr[];
}

const CURES = {
  IPv4: "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1",
  IPv6: "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-ip6tables=1",
} as const;

/**
 * Returns one problem, with its solution, for each bridge of pods whose packets bypass netfilter. On such a bridge a
 * pod that connects to another pod through a Service gets no reply: the reply crosses the bridge without IPVS, and its
 * source is not the address to which the client connected.
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
          `The pod bridge "${name}" passes ${family} packets without IPVS: a pod that connects to another pod on this ` +
          `node through a Service gets no reply. Run on the host: ${CURES[family]}`,
      );
  });
}
