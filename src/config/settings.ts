import { parseDurationMs } from "../model/duration.ts";
import type { Config } from "./config.ts";
import {
  bindAddress,
  integerFrom,
  oneOf,
  type Parse,
  parseAddresses,
  parseBoolean,
  parseCidrs,
  parseClusterCidrs,
  parseInterface,
  parseMarkMask,
  parseNodeName,
  parseNodePortAddresses,
  parsePeriodMs,
  parseScheduler,
  parseServers,
  parseText,
  parseTimeoutSeconds,
} from "./flag-values.ts";

export type Command = "run" | "init" | "plan" | "diff" | "cleanup";

/** One field of Config as a flag. */
export interface Setting<Value> {
  readonly flag: string;
  readonly aliases?: readonly string[];
  readonly short?: string;
  /** What stands for the value in help; a flag without is a boolean. */
  readonly placeholder?: string;
  /** Every occurrence adds to the list; else the last one counts. */
  readonly list?: true;
  /** The text of the value when nothing is given. */
  readonly fallback: string;
  readonly help: string;
  /** For whose help it is. */
  readonly commands: readonly Command[];
  readonly parse: Parse<Value>;
}

const ALL: readonly Command[] = ["run", "plan", "diff", "cleanup"];
const WANTING: readonly Command[] = ["run", "plan", "diff"];
const WRITING: readonly Command[] = ["run", "cleanup"];
const AGENT: readonly Command[] = ["run"];
const PREPARING: readonly Command[] = ["run", "init", "diff"];
const COMPARING: readonly Command[] = ["run", "diff"];
const SHOWING: readonly Command[] = ["plan", "diff"];
const COUNT = integerFrom(0, Number.MAX_SAFE_INTEGER);

/**
 * The flags, in the order of help. Names and defaults are kube-proxy's where it has the flag, but for
 * ipvs-min-sync-period: there every sync looks at every Service, so syncs must be kept rare (1s by flags, 0s by file).
 * Here a sync costs what has changed, and one that waits is only later; changes that arrive during a sync are
 * gathered by the sync itself.
 */
export const SETTINGS: { readonly [Key in keyof Config]: Setting<Config[Key]> } = {
  manifests: {
    flag: "manifests",
    placeholder: "PATH",
    fallback: "",
    help: "File or folder of YAML and JSON manifests, read again when it changes, instead of an API server",
    commands: WANTING,
    parse: parseText,
  },
  kubeconfig: {
    flag: "kubeconfig",
    placeholder: "PATH",
    fallback: "",
    help: "Where the API server is and how to be let in. Without it the service account of the pod",
    commands: WANTING,
    parse: parseText,
  },
  servers: {
    flag: "master",
    placeholder: "URL,...",
    list: true,
    fallback: "",
    help: "API servers instead of the configured one, the preferred first: the next is taken when one cannot be reached",
    commands: WANTING,
    parse: parseServers,
  },
  nodeName: {
    flag: "hostname-override",
    aliases: ["node-name"],
    placeholder: "NAME",
    fallback: "",
    help: "Name of this node's Node object. Without it NODE_NAME of the environment, then the host name",
    commands: WANTING,
    parse: parseNodeName,
  },
  nodeIPs: {
    flag: "node-ip",
    placeholder: "IP,...",
    list: true,
    fallback: "",
    help: "Addresses of this node, the primary one first, instead of those of its Node object; repeatable",
    commands: ALL,
    parse: parseAddresses,
  },
  clusterCidrs: {
    flag: "cluster-cidr",
    placeholder: "CIDR,...",
    fallback: "",
    help: "Network of the pods, or one of each family: traffic to ClusterIPs from elsewhere is masqueraded",
    commands: WANTING,
    parse: parseClusterCidrs,
  },
  localMode: {
    flag: "detect-local-mode",
    placeholder: "MODE",
    fallback: "ClusterCIDR",
    help: "How pods are known: ClusterCIDR, NodeCIDR (the Node's podCIDRs), BridgeInterface or InterfaceNamePrefix",
    commands: WANTING,
    parse: oneOf("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"),
  },
  podBridge: {
    flag: "pod-bridge-interface",
    placeholder: "NAME",
    fallback: "",
    help: "The bridge on which packets of pods arrive, for BridgeInterface",
    commands: WANTING,
    parse: parseInterface,
  },
  podInterfacePrefix: {
    flag: "pod-interface-name-prefix",
    placeholder: "PREFIX",
    fallback: "",
    help: "How the names of interfaces begin on which packets of pods arrive, for InterfaceNamePrefix",
    commands: WANTING,
    parse: parseInterface,
  },
  localMarkMask: {
    flag: "local-traffic-mark-mask",
    placeholder: "MASK",
    fallback: "0x107f",
    help: "Bits of the packet mark that nobody else uses, for this node's own traffic under the external policy Local",
    commands: WANTING,
    parse: parseMarkMask,
  },
  nodePortAddresses: {
    flag: "nodeport-addresses",
    placeholder: "CIDR,...|primary",
    list: true,
    fallback: "",
    help: "On which of the node's addresses NodePorts answer: networks, or primary; without it on all",
    commands: ALL,
    parse: parseNodePortAddresses,
  },
  masqueradeAll: {
    flag: "masquerade-all",
    fallback: "false",
    help: "Masquerade all traffic to ClusterIPs",
    commands: WANTING,
    parse: parseBoolean,
  },
  masqueradeBit: {
    flag: "iptables-masquerade-bit",
    placeholder: "BIT",
    fallback: "14",
    help: "Bit of the packet mark (0 to 31) that says: masquerade this",
    commands: WANTING,
    parse: integerFrom(0, 31),
  },
  scheduler: {
    flag: "ipvs-scheduler",
    placeholder: "NAME",
    fallback: "rr",
    help: "How IPVS chooses a real server: rr, wrr, lc, wlc, lblc, lblcr, sh, dh, sed, nq, fo, ovf or mh",
    commands: WANTING,
    parse: parseScheduler,
  },
  syncPeriodMs: {
    flag: "ipvs-sync-period",
    placeholder: "DURATION",
    fallback: "30s",
    help: "The kernel is compared with what is wanted at least this often; work older than twice this is unhealthy",
    commands: AGENT,
    parse: parsePeriodMs,
  },
  minSyncPeriodMs: {
    flag: "ipvs-min-sync-period",
    placeholder: "DURATION",
    fallback: "0s",
    help: "Rest between two syncs; 0s for none, since a sync costs only what has changed",
    commands: AGENT,
    parse: parseDurationMs,
  },
  drainTimeoutMs: {
    flag: "drain-timeout",
    placeholder: "DURATION",
    fallback: "15m",
    help: "How long a removed TCP endpoint may keep its established connections; 0s cuts them at once",
    commands: AGENT,
    parse: parseDurationMs,
  },
  excludeCidrs: {
    flag: "ipvs-exclude-cidrs",
    placeholder: "CIDR,...",
    list: true,
    fallback: "",
    help: "Networks whose IPVS virtual servers are somebody else's: never touched",
    commands: ["run", "diff", "cleanup"],
    parse: parseCidrs,
  },
  sharedVips: {
    flag: "shared-vip-cidrs",
    placeholder: "CIDR,...",
    list: true,
    fallback: "",
    help: "Networks whose addresses Services may have though they are the node's own, as with keepalived",
    commands: WANTING,
    parse: parseCidrs,
  },
  strictArp: {
    flag: "ipvs-strict-arp",
    fallback: "false",
    help: "Set arp_ignore to 1 and arp_announce to 2, so that the node answers ARP only for addresses of that interface",
    commands: PREPARING,
    parse: parseBoolean,
  },
  conntrackMaxPerCore: {
    flag: "conntrack-max-per-core",
    placeholder: "N",
    fallback: "32768",
    help: "Connections to track for each core; 0 leaves the kernel's limit as it is",
    commands: PREPARING,
    parse: COUNT,
  },
  conntrackMin: {
    flag: "conntrack-min",
    placeholder: "N",
    fallback: "131072",
    help: "Connections to track at least, however few the cores",
    commands: PREPARING,
    parse: COUNT,
  },
  conntrackTcpEstablishedSeconds: {
    flag: "conntrack-tcp-timeout-established",
    placeholder: "DURATION",
    fallback: "24h",
    help: "How long conntrack remembers an established TCP connection without packets; 0s leaves what the kernel has",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackTcpCloseWaitSeconds: {
    flag: "conntrack-tcp-timeout-close-wait",
    placeholder: "DURATION",
    fallback: "1h",
    help: "How long conntrack remembers a TCP connection that only one side has closed; 0s leaves what the kernel has",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackUdpSeconds: {
    flag: "conntrack-udp-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "How long conntrack remembers a UDP flow that was not answered; 0s leaves what the kernel has",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackUdpStreamSeconds: {
    flag: "conntrack-udp-timeout-stream",
    placeholder: "DURATION",
    fallback: "0s",
    help: "How long conntrack remembers a UDP flow with packets both ways; 0s leaves what the kernel has",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackTcpBeLiberal: {
    flag: "conntrack-tcp-be-liberal",
    fallback: "false",
    help: "Conntrack takes TCP packets out of the window for valid ones, and invalid packets are not dropped",
    commands: ["run", "init", "plan", "diff"],
    parse: parseBoolean,
  },
  ipvsTcpSeconds: {
    flag: "ipvs-tcp-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "How long IPVS remembers a TCP connection without packets; 0s leaves what the kernel has",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  ipvsTcpFinSeconds: {
    flag: "ipvs-tcpfin-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "How long IPVS remembers a TCP connection after a FIN; 0s leaves what the kernel has",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  ipvsUdpSeconds: {
    flag: "ipvs-udp-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "How long IPVS remembers a UDP flow without packets; 0s leaves what the kernel has",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  metricsBindAddress: {
    flag: "metrics-bind-address",
    placeholder: "IP:PORT",
    fallback: "127.0.0.1:10249",
    help: 'Where /metrics and /proxyMode are served; "" for nowhere',
    commands: AGENT,
    parse: bindAddress(10_249),
  },
  healthzBindAddress: {
    flag: "healthz-bind-address",
    placeholder: "IP:PORT",
    fallback: "0.0.0.0:10256",
    help: 'Where /healthz, /livez and /readyz are served; "" for nowhere',
    commands: AGENT,
    parse: bindAddress(10_256),
  },
  verbosity: {
    flag: "v",
    short: "v",
    placeholder: "N",
    fallback: "0",
    help: "How much is logged; from 4 on every change",
    commands: WRITING,
    parse: COUNT,
  },
  loggingFormat: {
    flag: "logging-format",
    placeholder: "text|json",
    fallback: "text",
    help: "Log lines for people or for machines",
    commands: WRITING,
    parse: oneOf("text", "json"),
  },
  output: {
    flag: "output",
    short: "o",
    placeholder: "text|json",
    fallback: "text",
    help: "What is printed: commands that ipvsadm and the others read, or one JSON document",
    commands: SHOWING,
    parse: oneOf("text", "json"),
  },
};
