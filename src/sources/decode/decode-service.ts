import { familyOf, type IPAddress, parseAddress, specialPurpose } from "../../model/address.ts";
import { problemObject } from "../../model/cluster/problem.ts";
import {
  type PortKey,
  portKey,
  type Service,
  type ServiceName,
  type ServicePort,
  serviceName,
} from "../../model/cluster/service.ts";
import { valueText } from "../../model/value-text.ts";
import type { Decoded } from "../../services/cluster-event.ts";
import { readExposure, SERVICE_TYPES, type ServiceType } from "./decode-exposure.ts";
import { readOverrides } from "./decode-overrides.ts";
import {
  field,
  identityOf,
  invalidObject,
  isJsonObject,
  type JsonObject,
  labelOf,
  ObjectReader,
} from "./object-reader.ts";
import { PortLists } from "./port-lists.ts";

/** A Service with this label, of any value, is served by another proxy. */
const PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name";

/** The default and the maximum of `sessionAffinityConfig.clientIP.timeoutSeconds` in the API. */
const DEFAULT_AFFINITY_SECONDS = 10_800;
const MAX_AFFINITY_SECONDS = 86_400;

/**
 * Decodes a v1 Service. ExternalName Services, headless ones ("None") and those of another proxy are ignored. A
 * Service without a usable cluster IP is ignored too, with a problem. Invalid ports, addresses and settings are
 * rejected and left out; the rest is used. A source of many Services passes the same `lists` for all.
 */
export function decodeService(object: unknown, lists = new PortLists()): Decoded<ServiceName, Service> {
  const identity = identityOf(object);
  if (identity === undefined || !isJsonObject(object)) return invalidObject("Service", object);
  const name = serviceName(identity.namespace, identity.name);
  const reader = new ObjectReader(problemObject("Service", name));
  if (labelOf(object, PROXY_NAME_LABEL) !== undefined) return { kind: "ignored", name, problems: [] };
  const spec = field(object, "spec");
  if (!isJsonObject(spec)) {
    reader.reject("spec", spec, "must be an object");
    return { kind: "invalid", problems: reader.problems };
  }
  const type = reader.word(spec, "type", "spec", SERVICE_TYPES, "ClusterIP");
  if (type === "ExternalName" || isHeadless(spec)) return { kind: "ignored", name, problems: reader.problems };
  const clusterIPs = readClusterIPs(reader, spec);
  if (clusterIPs.length === 0) return { kind: "ignored", name, problems: reader.problems };
  const internalTrafficPolicy = reader.word(spec, "internalTrafficPolicy", "spec", ["Cluster", "Local"], "Cluster");
  const externalTrafficPolicy = reader.word(spec, "externalTrafficPolicy", "spec", ["Cluster", "Local"], "Cluster");
  const exposure = readExposure(reader, { object, spec, type, clusterIPs, externalTrafficPolicy });
  // All fields are listed: with `...exposure` V8 stores the last fields in a separate list.
  const value: Service = {
    name,
    clusterIPs: kept(clusterIPs),
    ports: lists.share(kept(readPorts(reader, spec, type))),
    affinitySeconds: readAffinity(reader, spec),
    internalTrafficPolicy,
    externalTrafficPolicy,
    externalIPs: kept(exposure.externalIPs),
    loadBalancerIPs: kept(exposure.loadBalancerIPs),
    sourceRanges: exposure.sourceRanges,
    healthCheckNodePort: exposure.healthCheckNodePort,
    clusterDNS: labelOf(object, "k8s-app") === "kube-dns",
    overrides: readOverrides(reader, object),
  };
  return { kind: "accepted", name, value, problems: reader.problems };
}

/** The shared empty list: most Services have no addresses other than their cluster IPs. */
const EMPTY: readonly never[] = [];

/**
 * Returns the list without spare capacity: a list that was appended to has room for 17 elements. Saves 360 bytes for
 * each Service.
 */
function kept<Item>(list: readonly Item[]): readonly Item[] {
  return list.length === 0 ? EMPTY : list.slice();
}

function isHeadless(spec: JsonObject): boolean {
  const listed = field(spec, "clusterIPs");
  return field(spec, "clusterIP") === "None" || (Array.isArray(listed) && listed[0] === "None");
}

/** Reads at most one address of each family, from `clusterIPs`, or from `clusterIP` if that is missing. */
function readClusterIPs(reader: ObjectReader, spec: JsonObject): readonly IPAddress[] {
  const listed = reader.list(spec, "clusterIPs", "spec");
  const families = reader.list(spec, "ipFamilies", "spec");
  const single = reader.text(spec, "clusterIP", "spec") ?? "";
  if (listed.length === 0 && single === "") {
    reader.reject("spec.clusterIP", "", "is missing: kube-ipvs does not allocate cluster IPs");
    return [];
  }
  if (listed.length === 0) return readClusterIP(reader, single, "spec.clusterIP", families[0], []);
  if (single !== "" && single !== listed[0]) {
    reader.reject("spec.clusterIP", single, "differs from spec.clusterIPs[0], which is used instead");
  }
  return listed.reduce<readonly IPAddress[]>((found, text, index) => {
    const path = `spec.clusterIPs[${index}]`;
    if (families.length > 0 && index >= families.length) {
      reader.reject(path, text, "has no family in spec.ipFamilies");
      return found;
    }
    return readClusterIP(reader, text, path, families[index], found);
  }, []);
}

/** Returns `found` with the address added, or unchanged if the address is rejected. */
function readClusterIP(
  reader: ObjectReader,
  text: unknown,
  path: string,
  family: unknown,
  found: readonly IPAddress[],
): readonly IPAddress[] {
  const address = typeof text === "string" ? parseAddress(text) : undefined;
  const reason = address === undefined ? "must be an IP address" : clusterIPFault(address, family, found);
  if (address !== undefined && reason === undefined) return found.concat(address);
  reader.reject(path, text, reason ?? "must be an IP address");
  return found;
}

function clusterIPFault(address: IPAddress, family: unknown, found: readonly IPAddress[]): string | undefined {
  if (family !== undefined && family !== familyOf(address))
    return `is ${familyOf(address)}, but spec.ipFamilies has ${valueText(family)}`;
  if (found.some((other) => familyOf(other) === familyOf(address))) return `is a second ${familyOf(address)} address`;
  return specialPurpose(address);
}

/** Reads the ports. If two ports have the same name or number, the first is used. */
function readPorts(reader: ObjectReader, spec: JsonObject, type: ServiceType): readonly ServicePort[] {
  const ports: ServicePort[] = [];
  const taken = new Set<string>();
  reader.list(spec, "ports", "spec").forEach((object, index) => {
    const path = `spec.ports[${index}]`;
    const port = readPort(reader, object, path, type);
    if (port === undefined || isDuplicate(reader, port, taken, path)) return;
    ports.push(withoutTakenNodePort(reader, port, taken, path));
  });
  return ports;
}

function readPort(reader: ObjectReader, object: unknown, path: string, type: ServiceType): ServicePort | undefined {
  if (!isJsonObject(object)) {
    reader.reject(path, object, "must be an object");
    return undefined;
  }
  const name = reader.portName(object, path);
  const protocol = reader.protocol(object, path);
  const port = reader.portNumber(object, path);
  if (name === undefined || protocol === undefined || port === undefined) return undefined;
  return { key: portKey(name, protocol), protocol, port, nodePort: readNodePort(reader, object, path, type) };
}

function readNodePort(reader: ObjectReader, port: JsonObject, path: string, type: ServiceType): number {
  const nodePort = reader.integer(port, "nodePort", path, 0, 65_535) ?? 0;
  if (nodePort === 0 || type === "NodePort" || type === "LoadBalancer") return nodePort;
  reader.reject(`${path}.nodePort`, nodePort, "needs spec.type NodePort or LoadBalancer");
  return 0;
}

/**
 * Rejects a duplicate. `taken` contains the names, numbers and node ports of the earlier ports, because a Service may
 * have 65,535 ports.
 */
function isDuplicate(reader: ObjectReader, { key, protocol, port }: ServicePort, taken: Set<string>, path: string) {
  const name = `name ${key}`;
  const number = `port ${protocol} ${port}`;
  if (taken.has(name)) {
    reader.reject(`${path}.name`, nameOf(key), `is already used by an earlier ${protocol} port`);
    return true;
  }
  if (taken.has(number)) {
    reader.reject(`${path}.port`, port, `is already used by an earlier ${protocol} port`);
    return true;
  }
  taken.add(name).add(number);
  return false;
}

function nameOf(key: PortKey): string {
  return key.slice(0, key.lastIndexOf("/"));
}

function withoutTakenNodePort(reader: ObjectReader, port: ServicePort, taken: Set<string>, path: string): ServicePort {
  if (port.nodePort === 0) return port;
  const number = `node port ${port.protocol} ${port.nodePort}`;
  if (!taken.has(number)) {
    taken.add(number);
    return port;
  }
  reader.reject(`${path}.nodePort`, port.nodePort, `is already used by an earlier ${port.protocol} port`);
  return { ...port, nodePort: 0 };
}

/**
 * Returns the affinity timeout in seconds; 0: no affinity. An invalid timeout is rejected and replaced by the API's
 * default.
 */
function readAffinity(reader: ObjectReader, spec: JsonObject): number {
  if (reader.word(spec, "sessionAffinity", "spec", ["None", "ClientIP"], "None") === "None") return 0;
  const config = reader.object(spec, "sessionAffinityConfig", "spec") ?? {};
  const path = "spec.sessionAffinityConfig";
  const clientIP = reader.object(config, "clientIP", path) ?? {};
  const seconds = reader.integer(clientIP, "timeoutSeconds", `${path}.clientIP`, 1, MAX_AFFINITY_SECONDS);
  return seconds ?? DEFAULT_AFFINITY_SECONDS;
}
