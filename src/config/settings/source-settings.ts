import { parseAddresses, parseIp, parseNodeName, parseServers, parseText } from "../setting-values.ts";
import { ALL, type Settings, WANTING } from "./setting.ts";

type Key = "manifests" | "kubeconfig" | "servers" | "nodeName" | "nodeIPs" | "bindAddress";

/** The settings that say where the Services come from and which node this is. */
export const SOURCE_SETTINGS: Settings<Key> = {
  manifests: {
    flag: "manifests",
    path: "kubeIpvs.manifests",
    type: "string",
    placeholder: "PATH",
    fallback: "",
    help: "File or folder of YAML and JSON manifests to use instead of an API server. Changes are detected",
    commands: WANTING,
    parse: parseText,
  },
  kubeconfig: {
    flag: "kubeconfig",
    path: "clientConnection.kubeconfig",
    type: "string",
    placeholder: "PATH",
    fallback: "",
    help: "Path to a kubeconfig file. Without it, the service account of the pod is used",
    commands: WANTING,
    parse: parseText,
  },
  servers: {
    flag: "master",
    path: "kubeIpvs.apiServers",
    type: "strings",
    placeholder: "URL,...",
    fallback: "",
    help: "URLs of API servers instead of the one in the kubeconfig, the preferred one first. If a server cannot be reached, the next one is used",
    commands: [...WANTING, "init"],
    parse: parseServers,
  },
  nodeName: {
    flag: "hostname-override",
    aliases: ["node-name"],
    path: "hostnameOverride",
    type: "string",
    placeholder: "NAME",
    fallback: "",
    help: "Name of the Node object of this node. Without it, the environment variable NODE_NAME is used, then the host name",
    commands: WANTING,
    parse: parseNodeName,
  },
  nodeIPs: {
    flag: "node-ip",
    path: "kubeIpvs.nodeIPs",
    type: "strings",
    live: true,
    placeholder: "IP,...",
    fallback: "",
    help: "Addresses of this node, the primary one first, instead of the addresses of its Node object; repeatable",
    commands: ALL,
    parse: parseAddresses,
  },
  bindAddress: {
    flag: "bind-address",
    path: "bindAddress",
    type: "string",
    live: true,
    placeholder: "IP",
    fallback: "0.0.0.0",
    help: "Address of this node instead of that of its family in the Node object; not an address to listen on. 0.0.0.0 and :: replace no address; with an IPv6 address the servers listen on IPv6 addresses by default",
    commands: ALL,
    parse: parseIp,
  },
};
