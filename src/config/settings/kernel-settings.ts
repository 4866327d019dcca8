import { integerFrom, parseBoolean, parseTimeoutSeconds } from "../setting-values.ts";
import { COMPARING, PREPARING, type Settings } from "./setting.ts";

const COUNT = integerFrom(0, Number.MAX_SAFE_INTEGER);

type Key =
  | "strictArp"
  | "conntrackMaxPerCore"
  | "conntrackMin"
  | "conntrackTcpEstablishedSeconds"
  | "conntrackTcpCloseWaitSeconds"
  | "conntrackUdpSeconds"
  | "conntrackUdpStreamSeconds"
  | "conntrackTcpBeLiberal"
  | "ipvsTcpSeconds"
  | "ipvsTcpFinSeconds"
  | "ipvsUdpSeconds";

/** The sysctls and timeouts of the kernel. */
export const KERNEL_SETTINGS: Settings<Key> = {
  strictArp: {
    flag: "ipvs-strict-arp",
    path: "ipvs.strictARP",
    type: "boolean",
    live: true,
    fallback: "false",
    help: "Set arp_ignore to 1 and arp_announce to 2, so that each interface answers ARP only for its own addresses",
    commands: PREPARING,
    parse: parseBoolean,
  },
  conntrackMaxPerCore: {
    flag: "conntrack-max-per-core",
    path: "conntrack.maxPerCore",
    type: "integer",
    live: true,
    placeholder: "N",
    fallback: "32768",
    help: "Number of tracked connections for each CPU core; 0 keeps the limit of the kernel",
    commands: PREPARING,
    parse: COUNT,
  },
  conntrackMin: {
    flag: "conntrack-min",
    path: "conntrack.min",
    type: "integer",
    live: true,
    placeholder: "N",
    fallback: "131072",
    help: "Smallest number of tracked connections, for any number of CPU cores",
    commands: PREPARING,
    parse: COUNT,
  },
  conntrackTcpEstablishedSeconds: {
    flag: "conntrack-tcp-timeout-established",
    path: "conntrack.tcpEstablishedTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "24h",
    help: "Conntrack timeout of an established TCP connection; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackTcpCloseWaitSeconds: {
    flag: "conntrack-tcp-timeout-close-wait",
    path: "conntrack.tcpCloseWaitTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "1h",
    help: "Conntrack timeout of a TCP connection that only one side has closed; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackUdpSeconds: {
    flag: "conntrack-udp-timeout",
    path: "conntrack.udpTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "0s",
    help: "Conntrack timeout of a UDP flow without a response; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackUdpStreamSeconds: {
    flag: "conntrack-udp-timeout-stream",
    path: "conntrack.udpStreamTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "0s",
    help: "Conntrack timeout of a UDP flow with packets in both directions; 0s keeps the value of the kernel",
    commands: PREPARING,
    parse: parseTimeoutSeconds,
  },
  conntrackTcpBeLiberal: {
    flag: "conntrack-tcp-be-liberal",
    path: "conntrack.tcpBeLiberal",
    type: "boolean",
    live: true,
    fallback: "false",
    help: "Set nf_conntrack_tcp_be_liberal: conntrack accepts TCP packets out of the window, and invalid packets are not dropped",
    commands: ["run", "init", "plan", "diff"],
    parse: parseBoolean,
  },
  ipvsTcpSeconds: {
    flag: "ipvs-tcp-timeout",
    path: "ipvs.tcpTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "0s",
    help: "IPVS timeout of a TCP connection without packets; 0s keeps the value of the kernel",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  ipvsTcpFinSeconds: {
    flag: "ipvs-tcpfin-timeout",
    path: "ipvs.tcpFinTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "0s",
    help: "IPVS timeout of a TCP connection after a FIN; 0s keeps the value of the kernel",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
  ipvsUdpSeconds: {
    flag: "ipvs-udp-timeout",
    path: "ipvs.udpTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "0s",
    help: "IPVS timeout of a UDP flow without packets; 0s keeps the value of the kernel",
    commands: COMPARING,
    parse: parseTimeoutSeconds,
  },
};
