import { parseDurationMs } from "../model/time/duration.ts";
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

/** The flag of a field of Config. */
export interface Setting<Value> {
  readonly flag: string;
  readonly aliases?: readonly string[];
  readonly short?: string;
  /** The name of the value in the help text; absent for a boolean flag. */
  readonly placeholder?: string;
  /** Whether each occurrence adds to a list. Otherwise the last occurrence counts. */
  readonly list?: true;
  /** The text of the default value. */
  readonly fallback: string;
  readonly help: string;
  /** The commands that use the flag and show it in their help. */
  readonly commands: readonly Command[];
  readonly parse: Parse<Value>;
}

const ALL: readonly Command[] = ["run", "plan", "diff", "cleanup"];
const WANTING: readonly Command[] = ["run", "plan", "diff"];
const WRITING: readonly Command[] = ["run", "cleanup"];
const AGENT: readonly Command[] = ["run"];
const PREPARING: readonly Command[] = ["run", "init", "diff"];
const COMPARING: readonly Command[] = ["run", "diff"];
const RULING: readonly Command[] = ["run", "diff", "cleanup"];
const SHOWING: readonly Command[] = ["plan", "diff"];
const COUNT = integerFrom(0, Number.MAX_SAFE_INTEGER);

/**
 * The flags, in the order of the help text. Flags that kube-proxy has keep its names and defaults, except the default of
 * ipvs-min-sync-period. In kube-proxy each sync processes every Service, and the period keeps syncs rare (1s by flag, 0s
 * by file). Here the cost of a sync depends on the number of changes, and the changes during a sync are batched for the
 * next sync in any case, so that a period would only add delay.
 */
export const SETTINGS: { readonly [Key in keyof Config]: Setting<Config[Key]> } = {
  manifests: {
    flag: "manifests",
    placeholder: "PATH",
    fallback: "",
    help: "File or folder of YAML and JSON manifests to use instead of an API server. Changes are detected",
    commands: WANTING,
    parse: parseText,
  },
  kubeconfig: {
    flag: "kubeconfig",
    placeholder: "PATH",
    fallback: "",
    help: "Path to a kubeconfig file. Without it, the service account of the pod is used",
    commands: WANTING,
    parse: parseText,
  },
  servers: {
    flag: "master",
    placeholder: "URL,...",
    list: true,
    fallback: "",
    help: "URLs of API servers instead of the one in the kubeconfig, the preferred one first. If a server cannot be reached, the next one is used",
    commands: WANTING,
    parse: parseServers,
  },
  nodeName: {
    flag: "hostname-override",
    aliases: ["node-name"],
    placeholder: "NAME",
    fallback: "",
    help: "Name of the Node object of this node. Without it, the environment variable NODE_NAME is used, then the host name",
    commands: WANTING,
    parse: parseNodeName,
  },
  nodeIPs: {
    flag: "node-ip",
    placeholder: "IP,...",
    list: true,
    fallback: "",
    help: "Addresses of this node, the primary one first, instead of the addresses of its Node object; repeatable",
    commands: ALL,
    parse: parseAddresses,
  },
  clusterCidrs: {
    flag: "cluster-cidr",
    placeholder: "CIDR,...",
    fallback: "",
    help: "Network of the pods, at most one for each IP family. Traffic to ClusterIPs from other addresses is masqueraded",
    commands: WANTING,
    parse: parseClusterCidrs,
  },
  localMode: {
    flag: "detect-local-mode",
    placeholder: "MODE",
    fallback: "ClusterCIDR",
    help: "Property that identifies traffic of pods: ClusterCIDR, NodeCIDR (podCIDRs of the Node), BridgeInterface or InterfaceNamePrefix",
    commands: WANTING,
    parse: oneOf("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"),
  },
  podBridge: {
    flag: "pod-bridge-interface",
    placeholder: "NAME",
    fallback: "",
    help: "Name of the bridge on which packets of pods arrive, for BridgeInterface",
    commands: WANTING,
    parse: parseInterface,
  },
  podInterfacePrefix: {
    flag: "pod-interface-name-prefix",
    placeholder: "PREFIX",
    fallback: "",
    help: "Prefix of the names of the interfaces on which packets of pods arrive, for InterfaceNamePrefix",
    commands: WANTING,
    parse: parseInterface,
  },
  localMarkMask: {
    flag: "local-traffic-mark-mask",
    placeholder: "MASK",
    fallback: "0x107f",
    help: "Bits of the packet mark that no other program uses. They mark traffic of pods and of this node to Services with externalTrafficPolicy Local",
    commands: WANTING,
    parse: parseMarkMask,
  },
  nodePortAddresses: {
    flag: "nodeport-addresses",
    placeholder: "CIDR,...|primary",
    list: true,
    fallback: "",
    help: "Networks of the node addresses that serve NodePorts, or primary for the primary address. Without it, all addresses serve NodePorts",
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
    help: "Bit of the packet mark (0 to 31) for packets to masquerade",
    commands: WANTING,
    parse: integerFrom(0, 31),
  },
  iptablesBackend: {
    flag: "iptables-backend",
    placeholder: "auto|legacy|nft",
    fallback: "auto",
    help: "Backend of iptables for the rules. auto uses the backend of the kubelet, else the one with more rules",
    commands: RULING,
    parse: oneOf("auto", "legacy", "nft"),
  },
  scheduler: {
    flag: "ipvs-scheduler",
    placeholder: "NAME",
    fallback: "rr",
    help: "IPVS scheduler: rr, wrr, lc, wlc, lblc, lblcr, sh, dh, sed, nq, fo, ovf or mh",
    commands: WANTING,
    parse: parseScheduler,
  },
  syncPeriodMs: {
    flag: "ipvs-sync-period",
    placeholder: "DURATION",
    fallback: "30s",
    help: "Time between two resyncs, which read and repair the kernel state. The agent is unhealthy if work waits for twice this time",
    commands: AGENT,
    parse: parsePeriodMs,
  },
  minSyncPeriodMs: {
    flag: "ipvs-min-sync-period",
    placeholder: "DURATION",
    fallback: "0s",
    help: "Shortest time between two syncs. 0s sets no limit, because the cost of a sync depends on the number of changes",
    commands: AGENT,
    parse: parseDurationMs,
  },
  drainTimeoutMs: {
    flag: "drain-timeout",
    placeholder: "DURATION",
    fallback: "15m",
    help: "Time for which a removed TCP endpoint may keep its established connections; 0s closes them at once",
    commands: AGENT,
    parse: parseDurationMs,
  },
  excludeCidrs: {
    flag: "ipvs-exclude-cidrs",
    placeholder: "CIDR,...",
    list: true,
    fallback: "",
    help: "Networks of IPVS virtual servers that belong to other programs. kube-ipvs never changes them",
    commands: RULING,
    parse: parseCidrs,
  },
  sharedVips: {
    flag: "shared-vip-cidrs",
    placeholder: "CIDR,...",
    list: true,
    fallback: "",
    help: "Networks of addresses that Services may use even if they are addresses of this node, for example with keepalived",
    commands: WANTING,
    parse: parseCidrs,
  },
  strictArp: {
    flag: "ipvs-strict-arp",
    fallback: "false",
    help: "Set arp_ignore to 1 and arp_announce to 2, so that each interface answers ARP only for its own addresses",
    commands: PREPARING,
    parse: parseBoolean,
  },
  conntrackMaxPerCore: {
    flag: "conntrack-max-per-core",
    placeholder: "N",
    fallback: "32768",
    help: "Number of tracked connections for each CPU core; 0 keeps the limit of the kernel",
    commands: PREPARING,
    parse: COUNT,
  },
  conntrackMin: {
    flag: "conntrack-min",
    placeholder: "N",
    fallback: "131072",
    help: "Smallest number of tracked connections, for any number of CPU cores",
    commands: PREPARING,
    parse: COUNT,
  },
  conntrackTcpEstablishedSeconds: {
    flag: "conntrack-tcp-timeout-established",
    placeholder: "DURATION",
    fallback: "24h",
    help: "Conntrack timeout of an established TCP connection; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackTcpCloseWaitSeconds: {
    flag: "conntrack-tcp-timeout-close-wait",
    placeholder: "DURATION",
    fallback: "1h",
    help: "Conntrack timeout of a TCP connection that only one side has closed; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackUdpSeconds: {
    flag: "conntrack-udp-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "Conntrack timeout of a UDP flow without a response; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackUdpStreamSeconds: {
    flag: "conntrack-udp-timeout-stream",
    placeholder: "DURATION",
    fallback: "0s",
    help: "Conntrack timeout of a UDP flow with packets in both directions; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackTcpBeLiberal: {
    flag: "conntrack-tcp-be-liberal",
    fallback: "false",
    help: "Set nf_conntrack_tcp_be_liberal: conntrack accepts TCP packets out of the window, and invalid packets are not dropped",
    commands: ["run", "init", "plan", "diff"],
    parse: parseBoolean,
  },
  ipvsTcpSeconds: {
    flag: "ipvs-tcp-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "IPVS timeout of a TCP connection without packets; 0s keeps the value of the kernel",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  ipvsTcpFinSeconds: {
    flag: "ipvs-tcpfin-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "IPVS timeout of a TCP connection after a FIN; 0s keeps the value of the kernel",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  ipvsUdpSeconds: {
    flag: "ipvs-udp-timeout",
    placeholder: "DURATION",
    fallback: "0s",
    help: "IPVS timeout of a UDP flow without packets; 0s keeps the value of the kernel",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  metricsBindAddress: {
    flag: "metrics-bind-address",
    placeholder: "IP:PORT",
    fallback: "127.0.0.1:10249",
    help: 'Address of the server of /metrics and /proxyMode; "" for no server',
    commands: AGENT,
    parse: bindAddress(10_249),
  },
  metricsCertFile: {
    flag: "metrics-tls-cert-file",
    placeholder: "PATH",
    fallback: "",
    help: "File with the certificate and its chain (PEM) for the metrics server, which then uses TLS. A replaced file is read again",
    commands: AGENT,
    parse: parseText,
  },
  metricsKeyFile: {
    flag: "metrics-tls-private-key-file",
    placeholder: "PATH",
    fallback: "",
    help: "File with the private key (PEM) of that certificate",
    commands: AGENT,
    parse: parseText,
  },
  metricsAuthorization: {
    flag: "metrics-authorization",
    fallback: "false",
    help: "Answer requests to the metrics server only if the API server accepts their bearer token (TokenReview) and allows its user this path (SubjectAccessReview)",
    commands: AGENT,
    parse: parseBoolean,
  },
  healthzBindAddress: {
    flag: "healthz-bind-address",
    placeholder: "IP:PORT",
    fallback: "0.0.0.0:10256",
    help: 'Address of the server of /healthz, /livez and /readyz; "" for no server',
    commands: AGENT,
    parse: bindAddress(10_256),
  },
  verbosity: {
    flag: "v",
    short: "v",
    placeholder: "N",
    fallback: "0",
    help: "Log level; from 4 on, debug messages are logged",
    commands: WRITING,
    parse: COUNT,
  },
  loggingFormat: {
    flag: "logging-format",
    placeholder: "text|json",
    fallback: "text",
    help: "Format of the log",
    commands: WRITING,
    parse: oneOf("text", "json"),
  },
  output: {
    flag: "output",
    short: "o",
    placeholder: "text|json",
    fallback: "text",
    help: "Format of the output: commands for ipvsadm, ip, ipset and iptables-restore, or one JSON document",
    commands: SHOWING,
    parse: oneOf("text", "json"),
  },
};
