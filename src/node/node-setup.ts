import type { IpvsTimeout, NodeSetup } from "../kernel/kernel.ts";
import type { Cidr, IPFamily } from "../model/address.ts";
import { type LocalMode, podMatch } from "./rules/pod-match.ts";
import { proxyRules } from "./rules/proxy-rules.ts";
import { wantedSysctls } from "./sysctls.ts";

/** The part of the configuration that says what a node is to be. */
export interface NodeSetupOptions {
  /** Addresses of these networks on kube-ipvs0 are somebody else's. */
  readonly excludeCidrs: readonly Cidr[];
  readonly strictArp: boolean;
  /** 0 leaves nf_conntrack_max alone. */
  readonly conntrackMaxPerCore: number;
  readonly conntrackMin: number;
  /** 0 leaves it alone, as with all timeouts. */
  readonly conntrackTcpEstablishedSeconds: number;
  readonly conntrackTcpCloseWaitSeconds: number;
  readonly conntrackUdpSeconds: number;
  readonly conntrackUdpStreamSeconds: number;
  /** False leaves it alone. */
  readonly conntrackTcpBeLiberal: boolean;
  readonly ipvsTcpSeconds: number;
  readonly ipvsTcpFinSeconds: number;
  readonly ipvsUdpSeconds: number;
  /** How packets of pods are told from others. */
  readonly localMode: LocalMode;
  readonly clusterCidrs: readonly Cidr[];
  /** "" where no bridge is named. */
  readonly podBridge: string;
  /** "" where no interface is named. */
  readonly podInterfacePrefix: string;
  /** Bit of the packet mark, 0 to 31. */
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  /** The bits of the packet mark for local traffic. */
  readonly localMarkMask: number;
}

/** What the rules and sysctls depend on besides the configuration. */
export interface Machine {
  readonly families: readonly IPFamily[];
  readonly cpus: number;
  /** As /proc/sys/kernel/osrelease has it. */
  readonly kernelRelease: string;
  /** Whether conntrack takes TCP packets out of the window for valid (nf_conntrack_tcp_be_liberal). */
  readonly liberalConntrack: boolean;
}

/** What the cluster says of this node, as far as it decides what the node is to be. */
export interface ClusterNeeds {
  /** Of its Node object. */
  readonly podCIDRs: readonly Cidr[];
  /** Families that Services or the node use. */
  readonly families: readonly IPFamily[];
}

/** What this configuration wants a machine to be. Rules are for all of its families, sysctls for those in use. */
export function nodeSetup(config: NodeSetupOptions, machine: Machine, needs: ClusterNeeds): NodeSetup {
  return {
    families: machine.families,
    rules: staticRules(config, machine, needs.podCIDRs),
    excludedCIDRs: config.excludeCidrs,
    sysctls: wantedSysctls({
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

/** Those that the configuration asks for. */
function ipvsTimeouts(config: NodeSetupOptions): readonly IpvsTimeout[] {
  const timeouts: readonly IpvsTimeout[] = [
    { name: "tcp", seconds: config.ipvsTcpSeconds, flag: "ipvs-tcp-timeout" },
    { name: "tcpfin", seconds: config.ipvsTcpFinSeconds, flag: "ipvs-tcpfin-timeout" },
    { name: "udp", seconds: config.ipvsUdpSeconds, flag: "ipvs-udp-timeout" },
  ];
  return timeouts.filter(({ seconds }) => seconds > 0);
}

/** The static iptables chains of each family. */
export function staticRules(
  config: NodeSetupOptions,
  { families, liberalConntrack }: Pick<Machine, "families" | "liberalConntrack">,
  podCIDRs: readonly Cidr[],
): NodeSetup["rules"] {
  const pods = {
    mode: config.localMode,
    clusterCIDRs: config.clusterCidrs,
    podCIDRs,
    bridge: config.podBridge,
    interfacePrefix: config.podInterfacePrefix,
  };
  return Object.fromEntries(
    families.map((family) => [
      family,
      proxyRules({
        family,
        masqueradeBit: config.masqueradeBit,
        masqueradeAll: config.masqueradeAll,
        pods: podMatch(pods, family),
        localMarkMask: config.localMarkMask,
        // Who wants them taken for valid wants them forwarded, also where the kernel would not hear of it.
        dropInvalid: !liberalConntrack && !config.conntrackTcpBeLiberal,
        randomFully: true,
      }),
    ]),
  );
}

/** What the node is to be, where the cluster says this of it. */
export type SetupFor = (needs: ClusterNeeds) => NodeSetup;
