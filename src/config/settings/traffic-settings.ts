import {
  integerFrom,
  oneOf,
  parseBoolean,
  parseClusterCidrs,
  parseInterface,
  parseMarkMask,
  parseMode,
  parseNodePortAddresses,
} from "../setting-values.ts";
import { ALL, RULED, RULING, type Settings, WANTING } from "./setting.ts";

type Key =
  | "mode"
  | "clusterCidrs"
  | "localMode"
  | "podBridge"
  | "podInterfacePrefix"
  | "localMarkMask"
  | "nodePortAddresses"
  | "masqueradeAll"
  | "masqueradeBit"
  | "iptablesBackend";

/** The settings of pods, frontends and packet rules. */
export const TRAFFIC_SETTINGS: Settings<Key> = {
  mode: {
    flag: "proxy-mode",
    path: "mode",
    type: "string",
    placeholder: "ipvs",
    fallback: "ipvs",
    help: "Proxy mode. Only ipvs is possible; for other modes run kube-proxy",
    commands: ALL,
    parse: parseMode,
  },
  clusterCidrs: {
    flag: "cluster-cidr",
    path: "clusterCIDR",
    type: "string",
    live: true,
    placeholder: "CIDR,...",
    fallback: "",
    help: "Network of the pods, at most one for each IP family. Traffic to ClusterIPs from other addresses is masqueraded",
    commands: [...RULED, "trace"],
    parse: parseClusterCidrs,
  },
  localMode: {
    flag: "detect-local-mode",
    path: "detectLocalMode",
    type: "string",
    live: true,
    placeholder: "MODE",
    fallback: "ClusterCIDR",
    help: "Property that identifies traffic of pods: ClusterCIDR, NodeCIDR (podCIDRs of the Node), BridgeInterface or InterfaceNamePrefix",
    commands: [...RULED, "init"],
    parse: oneOf("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"),
  },
  podBridge: {
    flag: "pod-bridge-interface",
    path: "detectLocal.bridgeInterface",
    type: "string",
    live: true,
    placeholder: "NAME",
    fallback: "",
    help: "Name of the bridge on which packets of pods arrive, for BridgeInterface",
    commands: RULED,
    parse: parseInterface,
  },
  podInterfacePrefix: {
    flag: "pod-interface-name-prefix",
    path: "detectLocal.interfaceNamePrefix",
    type: "string",
    live: true,
    placeholder: "PREFIX",
    fallback: "",
    help: "Prefix of the names of the interfaces on which packets of pods arrive, for InterfaceNamePrefix",
    commands: RULED,
    parse: parseInterface,
  },
  localMarkMask: {
    flag: "local-traffic-mark-mask",
    path: "kubeIpvs.localTrafficMarkMask",
    type: "mask",
    placeholder: "MASK",
    fallback: "0x107f",
    help: "Bits of the packet mark that no other program uses. They mark traffic of pods and of this node to Services with externalTrafficPolicy Local",
    commands: WANTING,
    parse: parseMarkMask,
  },
  nodePortAddresses: {
    flag: "nodeport-addresses",
    path: "nodePortAddresses",
    type: "strings",
    live: true,
    placeholder: "CIDR,...|primary",
    fallback: "",
    help: "Networks of the node addresses that serve NodePorts, or primary for the primary address. Without it, all addresses serve NodePorts",
    commands: ALL,
    parse: parseNodePortAddresses,
  },
  masqueradeAll: {
    flag: "masquerade-all",
    path: "iptables.masqueradeAll",
    type: "boolean",
    live: true,
    fallback: "false",
    help: "Masquerade all traffic to ClusterIPs",
    commands: RULED,
    parse: parseBoolean,
  },
  masqueradeBit: {
    flag: "iptables-masquerade-bit",
    path: "iptables.masqueradeBit",
    type: "integer",
    placeholder: "BIT",
    fallback: "14",
    help: "Bit of the packet mark (0 to 31) for packets to masquerade",
    commands: RULED,
    parse: integerFrom(0, 31),
  },
  iptablesBackend: {
    flag: "iptables-backend",
    path: "kubeIpvs.iptablesBackend",
    type: "string",
    placeholder: "auto|legacy|nft",
    fallback: "auto",
    help: "Backend of iptables for the rules. auto uses the backend of the kubelet, else the one with more rules",
    commands: RULING,
    parse: oneOf("auto", "legacy", "nft"),
  },
};
