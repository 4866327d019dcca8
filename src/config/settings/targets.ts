import { type IPAddress, parseAddress } from "../../model/address.ts";
import { PROTOCOLS, type Protocol, type ServiceName, serviceName } from "../../model/cluster/service.ts";
import type { Parse } from "../setting-values.ts";

/** A Service, or one port of it. */
export interface ServiceTarget {
  readonly name: ServiceName;
  /** The number or the name of a port; undefined: all ports. */
  readonly port: string | undefined;
}

/** Where a traced packet comes from: an address, a pod of this node, a process of this node, or another machine. */
export type TraceFrom = IPAddress | "pod" | "node" | "outside";

/** Where a traced packet goes to. */
export interface TraceTo {
  readonly address: IPAddress;
  readonly port: number;
  readonly protocol: Protocol;
}

/** "NAMESPACE/SERVICE" or "NAMESPACE/SERVICE:PORT"; undefined for "". */
export const parseServiceTarget: Parse<ServiceTarget | undefined> = (text, refuse) => {
  if (text === "") return undefined;
  const [, namespace, name, port] = /^([a-z0-9.-]+)\/([a-z0-9.-]+)(?::([a-zA-Z0-9-]+))?$/.exec(text) ?? [];
  if (namespace !== undefined && name !== undefined) return { name: serviceName(namespace, name), port };
  refuse('must be NAMESPACE/SERVICE or NAMESPACE/SERVICE:PORT, as "shop/web:80"');
  return undefined;
};

/** "pod", "node", "outside" or an address. */
export const parseTraceFrom: Parse<TraceFrom> = (text, refuse) => {
  if (text === "pod" || text === "node" || text === "outside") return text;
  const address = parseAddress(text);
  if (address === undefined) refuse("must be an IP address, pod, node or outside");
  return address ?? "pod";
};

/** "IP:PORT/PROTOCOL"; without a protocol TCP; undefined for "". */
export const parseTraceTo: Parse<TraceTo | undefined> = (text, refuse) => {
  if (text === "") return undefined;
  const [, six, four, digits, word = "TCP"] = /^(?:\[([^\]]+)\]|([^:/]+)):(\d+)(?:\/(\w+))?$/.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? "");
  const port = Number(digits);
  const protocol = PROTOCOLS.find((one) => one === word.toUpperCase());
  if (address !== undefined && protocol !== undefined && port >= 1 && port <= 65_535)
    return { address, port, protocol };
  refuse('must be IP:PORT/PROTOCOL, as "10.96.0.1:80/TCP" or "[fd00::1]:53/UDP"');
  return undefined;
};
