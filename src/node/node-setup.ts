import type { IpvsTimeout, NodeSetup } from "../kernel/kernel.ts";
import type { Cidr, IPFamily } from "../model/address.ts";
import type { Rules } from "../model/kernel/rules.ts";
import type { VipBinding } from "../model/vip-binding.ts";
import type { RuleOptions } from "./rules/match.ts";
import { type LocalMode, podMatch } from "./rules/pod-match.ts";
import { proxyRules } from "./rules/proxy-rules.ts";
import { requiredSysctls } from "./sysctls.ts";

/** The part of the configuration by which packets of pods are recognised. */
export interface PodRecognition {
  readonly localMode: LocalMode;
  readonly clusterCidrs: readonly Cidr[];
  /** "" if no bridge is configured. */
  readonly podBridge: string;
  /** "" if no interface prefix is configured. */
  readonly podInterfacePrefix: string;
}

/** The part of the configuration on which the setup of the node depends. */
export interface NodeSetupOptions extends PodRecognition {
  /** The networks of addresses on kube-ipvs0 that belong to other programs. */
  readonly excludeCidrs: readonly Cidr[];
  /** How VIPs are bound. */
  readonly vipBinding: VipBinding;
  readonly strictArp: boolean;
  /** 0 does not change nf_conntrack_max. */
  readonly conntrackMaxPerCore: number;
  readonly conntrackMin: number;
  /** 0 does not change the timeout; this holds for all timeouts. */
  readonly conntrackTcpEstablishedSeconds: number;
  readonly conntrackTcpCloseWaitSeconds: number;
  readonly conntrackUdpSeconds: number;
  readonly conntrackUdpStreamSeconds: number;
  /** False does not change it. */
  readonly conntrackTcpBeLiberal: boolean;
  readonly ipvsTcpSeconds: number;
  readonly ipvsTcpFinSeconds: number;
  readonly ipvsUdpSeconds: number;
  /** The bit of the packet mark, 0 to 31. */
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  /** The bits of the packet mark for local traffic. */
  readonly localMarkMask: number;
}

/** The properties of the host on which rules and sysctls depend. */
export interface HostInfo {
  readonly families: readonly IPFamily[];
  readonly cpus: number;
  /** The text of /proc/sys/kernel/osrelease. */
  readonly kernelRelease: string;
  /** Whether conntrack accepts out-of-window TCP packets as valid (nf_conntrack_tcp_be_liberal). */
  readonly liberalConntrack: boolean;
}

/** The properties of the cluster on which the setup of the node depends. */
export interface ClusterNeeds {
  /** The pod networks in the Node object of this node. */
  readonly podCIDRs: readonly Cidr[];
  /** The families that Services or this node use. */
  readonly families: readonly IPFamily[];
}

/**
 * Returns the setup for this configuration and host. It has rules for all families of the host, and sysctls for those
 * in use.
 */
export function nodeSetup(config: NodeSetupOptions, machine: HostInfo, needs: ClusterNeeds): NodeSetup {
  return {
    families: machine.families,
    rules: staticRules(config, machine, needs.podCIDRs),
    excludedCIDRs: config.excludeCidrs,
    sysctls: requiredSysctls({
      families: machine.families.filter((family) => needs.families.includes(family)),
      strictARP: config.strictArp,
      conntrackMaxPerCore: config.conntrackMaxPerCore,
      conntrackMin: config.conntrackMin,
      conntrackTimeouts: {
        tcpEstablished: config.conntrackTcpEstablishedSeconds,
        tcpCloseWait: config.conntrackTcpCloseWaitSeconds,
        udp: config.conntrackUdpSeconds,
        udpStream: config.conntrackUdpStreamSeconds,
      },
      conntrackTcpBeLiberal: config.conntrackTcpBeLiberal,
      cpus: machine.cpus,
      kernelRelease: machine.kernelRelease,
    }),
    ipvsTimeouts: ipvsTimeouts(config),
  };
}

/** Returns the timeouts that are configured. */
function ipvsTimeouts(config: NodeSetupOptions): readonly IpvsTimeout[] {
  const timeouts: readonly IpvsTimeout[] = [
    { name: "tcp", seconds: config.ipvsTcpSeconds, flag: "ipvs-tcp-timeout" },
    { name: "tcpfin", seconds: config.ipvsTcpFinSeconds, flag: "ipvs-tcpfin-timeout" },
    { name: "udp", seconds: config.ipvsUdpSeconds, flag: "ipvs-udp-timeout" },
  ];
  return timeouts.filter(({ seconds }) => seconds > 0);
}

/** The static iptables chains of each family: those of kube-ipvs, or those that `build` returns. */
export function staticRules(
  config: NodeSetupOptions,
  { families, liberalConntrack }: Pick<HostInfo, "families" | "liberalConntrack">,
  podCIDRs: readonly Cidr[],
  build: (options: RuleOptions) => Rules = proxyRules,
): NodeSetup["rules"] {
  const pods = podMatches(config, podCIDRs);
  return Object.fromEntries(
    families.map((family) => [
      family,
      build({
        family,
        masqueradeBit: config.masqueradeBit,
        masqueradeAll: config.masqueradeAll,
        pods: pods[family],
        vipBinding: config.vipBinding,
        localMarkMask: config.localMarkMask,
        // An operator who makes conntrack accept these packets wants them forwarded, even if the kernel refused the
        // sysctl.
        dropInvalid: !liberalConntrack && !config.conntrackTcpBeLiberal,
        randomFully: true,
      }),
    ]),
  );
}

/** The iptables matches for packets of pods; undefined for a family in which pods cannot be recognised. */
export function podMatches(
  config: PodRecognition,
  podCIDRs: readonly Cidr[],
): Readonly<Record<IPFamily, string | undefined>> {
  const pods = {
    mode: config.localMode,
    clusterCIDRs: config.clusterCidrs,
    podCIDRs,
    bridge: config.podBridge,
    interfacePrefix: config.podInterfacePrefix,
  };
  return { IPv4: podMatch(pods, "IPv4"), IPv6: podMatch(pods, "IPv6") };
}

/** Returns the setup for these needs of the cluster. */
export type SetupFor = (needs: ClusterNeeds) => NodeSetup;
