import type { IPFamily } from "../model/address.ts";
import type { Sysctl } from "../model/kernel/sysctl.ts";

/** What conntrack remembers for a time of its own: where that stands, and the flag that asks for it. */
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
  /** Those in use: of the others nothing is asked. */
  readonly families: readonly IPFamily[];
  /** Answer ARP for an address only on the interface that has it. */
  readonly strictARP: boolean;
  /** Tracked connections to make room for, per CPU; 0 leaves the limit alone. */
  readonly conntrackMaxPerCore: number;
  /** The least that is asked for, however few the CPUs. */
  readonly conntrackMin: number;
  /** In seconds; 0 leaves it alone. */
  readonly conntrackTimeouts: Readonly<Record<ConntrackTimeout, number>>;
  /** Take TCP packets out of the window for valid; false leaves it alone. */
  readonly conntrackTcpBeLiberal: boolean;
  readonly cpus: number;
  /** As /proc/sys/kernel/osrelease has it: "6.1.0-30-amd64". */
  readonly kernelRelease: string;
}

/**
 * Where the scaled conntrack limit stops: on a machine of many CPUs the table would only cost memory. A larger minimum
 * that was asked for by name still holds.
 */
const SCALED_CONNTRACK_CAP = 1_048_576;

/** What this configuration wants of /proc/sys, for this kernel. */
export function wantedSysctls(options: SysctlOptions): readonly Sysctl[] {
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
    // Without it netfilter does not see the flows of IPVS, and nothing is masqueraded.
    exactly("net/ipv4/vs/conntrack", "1", true),
    // Connections of a real server that is gone end at once instead of timing out in silence.
    exactly("net/ipv4/vs/expire_nodest_conn", "1", false),
    // Affinity lets go of a real server whose weight is 0.
    exactly("net/ipv4/vs/expire_quiescent_template", "1", false),
    ...(delaysReusedPorts(kernelRelease) ? [exactly("net/ipv4/vs/conn_reuse_mode", "0", false)] : []),
  ];
}

/**
 * From 4.1 to 5.8 a client port that is used again while conntrack is on waits one second for its SYN to be resent
 * (fixed in 5.9 by "ipvs: allow connection reuse for unconfirmed conntrack").
 */
function delaysReusedPorts(kernelRelease: string): boolean {
  const match = /^(\d+)\.(\d+)/.exec(kernelRelease);
  if (match === null) return false;
  const version = Number(match[1]) * 1000 + Number(match[2]);
  return version >= 4001 && version < 5009;
}

/**
 * IPVS transmits to pods by forwarding. With IPv6 forwarding on, Linux takes router advertisements only if accept_ra is 2, and
 * a host may lose its default route: so this is asked only where IPv6 is in use.
 */
function forwarding(families: readonly IPFamily[]): readonly Sysctl[] {
  return families.map((family) => ({
    ...exactly(family === "IPv4" ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding", "1", true),
    initFlag: "cluster-cidr",
  }));
}

function arp(options: SysctlOptions): readonly Sysctl[] {
  if (!options.strictARP || !options.families.includes("IPv4")) return [];
  // Asked for by whoever announces the addresses himself (MetalLB): a second answer would draw their traffic here.
  return [
    { ...exactly("net/ipv4/conf/all/arp_ignore", "1", true), flag: "ipvs-strict-arp" },
    { ...exactly("net/ipv4/conf/all/arp_announce", "2", true), flag: "ipvs-strict-arp" },
  ];
}

function conntrackLimit(options: SysctlOptions): readonly Sysctl[] {
  if (options.conntrackMaxPerCore <= 0) return [];
  const scaled = Math.min(options.conntrackMaxPerCore * options.cpus, SCALED_CONNTRACK_CAP);
  const max = Math.max(scaled, options.conntrackMin);
  // Not required: only the first network namespace may set them, and a node that keeps its own limit still serves.
  // Four connections a bucket is what the kernel itself reckons with (nf_conntrack_init_start).
  const flag = scaled < options.conntrackMin ? "conntrack-min" : "conntrack-max-per-core";
  return [
    { ...atLeast("net/netfilter/nf_conntrack_max", max), flag },
    { ...atLeast("net/netfilter/nf_conntrack_buckets", Math.floor(max / 4)), flag },
  ];
}

/** How long conntrack remembers what, and how strict it is: of each network namespace. A node that keeps its own still serves. */
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
