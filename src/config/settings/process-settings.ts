import {
  bindAddress,
  integerFrom,
  oneOf,
  parseAmount,
  parseBoolean,
  parseServerNames,
  parseText,
} from "../setting-values.ts";
import { AGENT, type Settings, SHOWING, WRITING } from "./setting.ts";

const COUNT = integerFrom(0, Number.MAX_SAFE_INTEGER);

type Key =
  | "metricsBindAddress"
  | "metricsCertFile"
  | "metricsKeyFile"
  | "metricsAuthorization"
  | "serviceTraffic"
  | "virtualServerInfo"
  | "healthzBindAddress"
  | "disabledServers"
  | "bindAddressHardFail"
  | "verbosity"
  | "loggingFormat"
  | "output";

/** The servers, the log and the output of the process. */
export const PROCESS_SETTINGS: Settings<Key> = {
  metricsBindAddress: {
    flag: "metrics-bind-address",
    path: "metricsBindAddress",
    type: "address",
    placeholder: "IP:PORT",
    fallback: "127.0.0.1:10249",
    help: 'Address of the server of /metrics and /proxyMode; "" for no server',
    commands: AGENT,
    parse: bindAddress(10_249),
  },
  metricsCertFile: {
    flag: "metrics-tls-cert-file",
    path: "kubeIpvs.metricsTLSCertFile",
    type: "string",
    placeholder: "PATH",
    fallback: "",
    help: "File with the certificate and its chain (PEM) for the metrics server, which then uses TLS. A replaced file is read again",
    commands: AGENT,
    parse: parseText,
  },
  metricsKeyFile: {
    flag: "metrics-tls-private-key-file",
    path: "kubeIpvs.metricsTLSPrivateKeyFile",
    type: "string",
    placeholder: "PATH",
    fallback: "",
    help: "File with the private key (PEM) of that certificate",
    commands: AGENT,
    parse: parseText,
  },
  metricsAuthorization: {
    flag: "metrics-authorization",
    path: "kubeIpvs.metricsAuthorization",
    type: "boolean",
    fallback: "false",
    help: "Answer requests to the metrics server only if the API server accepts their bearer token (TokenReview) and allows its user this path (SubjectAccessReview)",
    commands: AGENT,
    parse: parseBoolean,
  },
  serviceTraffic: {
    flag: "service-traffic-metrics",
    path: "kubeIpvs.serviceTrafficMetrics",
    type: "amount",
    placeholder: "none|all|N",
    fallback: "none",
    help: "Metrics of the traffic of each port of a Service, kube_ipvs_service_*_total: none, all, or the N busiest ports with the rest as one. A port has five samples",
    commands: AGENT,
    parse: parseAmount,
  },
  virtualServerInfo: {
    flag: "virtual-server-info",
    path: "kubeIpvs.virtualServerInfo",
    type: "boolean",
    fallback: "false",
    help: "Metric kube_ipvs_virtual_server_info with the virtual servers of the ports that --service-traffic-metrics names, to join node_ipvs_* of node_exporter",
    commands: AGENT,
    parse: parseBoolean,
  },
  healthzBindAddress: {
    flag: "healthz-bind-address",
    path: "healthzBindAddress",
    type: "address",
    placeholder: "IP:PORT",
    fallback: "0.0.0.0:10256",
    help: 'Address of the server of /healthz, /livez and /readyz; "" for no server',
    commands: AGENT,
    parse: bindAddress(10_256),
  },
  disabledServers: {
    flag: "disable-servers",
    path: "kubeIpvs.disableServers",
    type: "strings",
    placeholder: "metrics,healthz",
    fallback: "",
    help: "Servers that do not listen: metrics, healthz or both. In a configuration file an empty address means the default address",
    commands: AGENT,
    parse: parseServerNames,
  },
  bindAddressHardFail: {
    flag: "bind-address-hard-fail",
    path: "bindAddressHardFail",
    type: "boolean",
    fallback: "false",
    help: "End with exit code 1 if a server cannot listen on its address, instead of trying again every 5 seconds",
    commands: AGENT,
    parse: parseBoolean,
  },
  verbosity: {
    flag: "v",
    short: "v",
    path: "logging.verbosity",
    type: "integer",
    live: true,
    placeholder: "N",
    fallback: "0",
    help: "Log level; from 4 on, debug messages are logged",
    commands: WRITING,
    parse: COUNT,
  },
  loggingFormat: {
    flag: "logging-format",
    path: "logging.format",
    type: "string",
    placeholder: "text|json",
    fallback: "text",
    help: "Format of the log",
    commands: WRITING,
    parse: oneOf("text", "json"),
  },
  output: {
    flag: "output",
    short: "o",
    type: "string",
    placeholder: "text|json",
    fallback: "text",
    help: "Format of the output: text (of plan, commands for ipvsadm, ip, ipset and iptables-restore) or one JSON document",
    commands: SHOWING,
    parse: oneOf("text", "json"),
  },
};
