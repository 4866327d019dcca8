import type { IPFamily } from "../model/address.ts";
import { isOlderKernel } from "../model/kernel/kernel-release.ts";
import type { Sysctl } from "../model/kernel/sysctl.ts";

/** The conntrack timeouts: the sysctl and the flag of each. */
const CONNTRACK_TIMEOUTS = [
  {
    name: "tcpEstablished",
    sysctl: "nf_conntrack_tcp_timeout_established",
    flag: "conntrack-tcp-timeout-established",
  },
  { name: "tcpCloseWait", sysctl: "nf_conntrack_tcp_timeout_close_wait", flag: "conntrack-tcp-timeout-close-wait" },
  { name: "udp", sysctl: "nf_conntrack_udp_timeout", flag: "conntrack-udp-timeout" },
  { name: "udpStream", sysctl: "nf_conntrack_udp_timeout_stream", flag: "conntrack-udp-timeout-stream" },
] as const;
export type ConntrackTimeout = (typeof CONNTRACK_TIMEOUTS)[number]["name"];

export interface SysctlOptions {
  /** The families in use. The other families need no sysctls. */
  readonly families: readonly IPFamily[];
  /** Answer ARP for an address only on the interface that has it. */
  readonly strictARP: boolean;
  /** The number of tracked connections per CPU; 0 does not change the limit. */
  readonly conntrackMaxPerCore: number;
  /** The minimum number of tracked connections, independent of the number of CPUs. */
  readonly conntrackMin: number;
  /** In seconds; 0 does not change the timeout. */
  readonly conntrackTimeouts: Readonly<Record<ConntrackTimeout, number>>;
  /** Accept out-of-window TCP packets as valid; false does not change the sysctl. */
  readonly conntrackTcpBeLiberal: boolean;
  readonly cpus: number;
  /** The text of /proc/sys/kernel/osrelease, for example "6.1.0-30-amd64". */
  readonly kernelRelease: string;
}

/**
 * The maximum of the scaled conntrack limit: on a host with many CPUs a larger table would only cost memory. A larger
 * configured minimum still applies.
 */
const SCALED_CONNTRACK_CAP = 1_048_576;

/** Returns the sysctls that this configuration needs on this kernel. */
export function requiredSysctls(options: SysctlOptions): readonly Sysctl[] {
  return [
    ...ipvsSysctls(options.kernelRelease),
    ...forwarding(options.families),
    ...arp(options),
    ...conntrackLimit(options),
    ...conntrackHabits(options),
  ];
}

function ipvsSysctls(kernelRelease: string): readonly Sysctl[] {
  return [
    // Without it netfilter does not track connections of IPVS, and nothing is masqueraded.
    exactly("net/ipv4/vs/conntrack", "1", true),
    // Connections of a removed real server end instead of timing out: at once from Linux 5.9 on, and at their next packet
    // before.
    exactly("net/ipv4/vs/expire_nodest_conn", "1", false),
    // Session affinity no longer selects a real server whose weight is 0.
    exactly("net/ipv4/vs/expire_quiescent_template", "1", false),
    ...(delaysReusedPorts(kernelRelease) ? [exactly("net/ipv4/vs/conn_reuse_mode", "0", false)] : []),
  ];
}

/**
 * Whether a reused client port is delayed: in 4.1 to 5.8 with conntrack on, its first SYN is dropped, and the client
 * sends it again after a second (fixed in 5.9 by "ipvs: allow connection reuse for unconfirmed conntrack").
 */
function delaysReusedPorts(kernelRelease: string): boolean {
  return !isOlderKernel(kernelRelease, 4, 1) && isOlderKernel(kernelRelease, 5, 9);
}

/**
 * Returns the sysctls for forwarding, which IPVS needs to reach pods. With IPv6 forwarding on, Linux accepts router
 * advertisements only if accept_ra is 2, and a host may lose its default route. IPv6 forwarding is therefore enabled
 * only if IPv6 is in use.
 */
function forwarding(families: readonly IPFamily[]): readonly Sysctl[] {
  return families.map((family) => ({
    ...exactly(family === "IPv4" ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding", "1", true),
    initFlag: "cluster-cidr",
  }));
}

function arp(options: SysctlOptions): readonly Sysctl[] {
  if (!options.strictARP || !options.families.includes("IPv4")) return [];
  // Needed where another program announces the addresses (MetalLB): a second ARP reply would attract traffic to this
  // node.
  return [
    { ...exactly("net/ipv4/conf/all/arp_ignore", "1", true), flag: "ipvs-strict-arp" },
    { ...exactly("net/ipv4/conf/all/arp_announce", "2", true), flag: "ipvs-strict-arp" },
  ];
}

function conntrackLimit(options: SysctlOptions): readonly Sysctl[] {
  if (options.conntrackMaxPerCore <= 0) return [];
  const scaled = Math.min(options.conntrackMaxPerCore * options.cpus, SCALED_CONNTRACK_CAP);
  const max = Math.max(scaled, options.conntrackMin);
  // Not required: only the first network namespace can set them, and a node with other limits still serves Services.
  // The kernel uses four connections per bucket by default (nf_conntrack_init_start).
  const flag = scaled < options.conntrackMin ? "conntrack-min" : "conntrack-max-per-core";
  return [
    { ...atLeast("net/netfilter/nf_conntrack_max", max), flag },
    { ...atLeast("net/netfilter/nf_conntrack_buckets", Math.floor(max / 4)), flag },
  ];
}

/**
 * Returns the sysctls for conntrack timeouts and strictness, which each network namespace has. They are not required: a
 * node with other values still serves Services.
 */
function conntrackHabits({ conntrackTimeouts, conntrackTcpBeLiberal }: SysctlOptions): readonly Sysctl[] {
  const timeouts = CONNTRACK_TIMEOUTS.filter(({ name }) => conntrackTimeouts[name] > 0).map(
    ({ name, sysctl, flag }) => ({
      ...exactly(`net/netfilter/${sysctl}`, String(conntrackTimeouts[name]), false),
      flag,
    }),
  );
  const liberal = {
    ...exactly("net/netfilter/nf_conntrack_tcp_be_liberal", "1", false),
    flag: "conntrack-tcp-be-liberal",
  };
  return [...timeouts, ...(conntrackTcpBeLiberal ? [liberal] : [])];
}

function exactly(path: string, value: string, required: boolean): Sysctl {
  return { path, value, compare: "equal", required };
}

function atLeast(path: string, value: number): Sysctl {
  return { path, value: String(value), compare: "atLeast", required: false };
}
