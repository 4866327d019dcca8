import type { Service, ServicePort, ServicePortName } from "../../model/cluster/service.ts";
import type { VirtualServerName } from "../../model/kernel/ipvs.ts";

/** Returns the port of the Service that a virtual server by address serves; undefined if the Service has no such port. */
export function servedPort(service: Service, server: VirtualServerName): ServicePort | undefined {
  const { ports, clusterIPs, externalIPs, loadBalancerIPs } = service;
  const isVip = [clusterIPs, externalIPs, loadBalancerIPs].some((addresses) => addresses.includes(server.address));
  const having = (number: "port" | "nodePort") =>
    ports.find((each) => each.protocol === server.protocol && each[number] === server.port);
  // An external IP may be an address of the node, which then also has the NodePort.
  return (isVip ? having("port") : undefined) ?? having("nodePort");
}

/** Returns the name of a port of the Service. */
export function portName({ name }: Service, { key, port }: ServicePort): ServicePortName {
  const [namespace = "", service = ""] = name.split("/");
  return { namespace, service, port: key.slice(0, key.lastIndexOf("/")) || String(port) };
}
