import type { ClusterNode, EndpointSlice, Service, ServiceCIDR } from "../../../src/model/cluster/service.ts";
import type { Decoded } from "../../../src/services/cluster-event.ts";
import { decodeNode } from "../../../src/sources/decode/decode-node.ts";
import { decodeService } from "../../../src/sources/decode/decode-service.ts";
import { decodeServiceCIDR } from "../../../src/sources/decode/decode-service-cidr.ts";
import { decodeEndpointSlice } from "../../../src/sources/decode/decode-slice.ts";

/** A port by its number, or with more said; wrong values may be said too. */
export type PortSpec = number | PortObject;
export interface PortObject {
  readonly name?: unknown;
  readonly port?: unknown;
  readonly protocol?: unknown;
  readonly nodePort?: unknown;
}

export interface ServiceSpec {
  /** One address, by default 10.96.0.10; several make a dual-stack Service. */
  readonly ip?: string | readonly string[];
  /** By default [80]. `{ name, port, protocol, nodePort }` as in the API. */
  readonly ports?: readonly PortSpec[];
  /** By default LoadBalancer with loadBalancerIPs, NodePort when a port has a nodePort, else ClusterIP. */
  readonly type?: string;
  readonly externalIPs?: readonly string[];
  readonly loadBalancerIPs?: readonly string[];
  readonly sourceRanges?: readonly string[];
  readonly healthCheckNodePort?: number;
  /** ClientIP affinity of so many seconds. */
  readonly affinity?: number;
  readonly internal?: string;
  readonly external?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Laid over the built spec, for what has no word above. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** In place of the built status. */
  readonly status?: unknown;
}

/** The JSON of a v1 Service: `serviceObject("shop/web", { ip: "10.96.0.10", ports: [80, { name: "s", port: 443 }] })`. */
export function serviceObject(name: string, said: ServiceSpec = {}): Record<string, unknown> {
  const ips = typeof said.ip === "string" ? [said.ip] : (said.ip ?? ["10.96.0.10"]);
  const ports = (said.ports ?? [80]).map(portObject);
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      ...metadata(name, said.labels),
      ...(said.annotations === undefined ? {} : { annotations: said.annotations }),
    },
    spec: {
      type: typeOf(said, ports),
      clusterIP: ips[0],
      clusterIPs: ips,
      ports,
      ...(said.affinity === undefined ? {} : affinityOf(said.affinity)),
      ...(said.internal === undefined ? {} : { internalTrafficPolicy: said.internal }),
      ...(said.external === undefined ? {} : { externalTrafficPolicy: said.external }),
      ...(said.externalIPs === undefined ? {} : { externalIPs: said.externalIPs }),
      ...(said.sourceRanges === undefined ? {} : { loadBalancerSourceRanges: said.sourceRanges }),
      ...(said.healthCheckNodePort === undefined ? {} : { healthCheckNodePort: said.healthCheckNodePort }),
      ...said.spec,
    },
    status: said.status ?? { loadBalancer: { ingress: (said.loadBalancerIPs ?? []).map((ip) => ({ ip })) } },
  };
}

function typeOf(said: ServiceSpec, ports: readonly PortObject[]): string {
  if (said.type !== undefined) return said.type;
  if (said.loadBalancerIPs !== undefined) return "LoadBalancer";
  return ports.some((port) => port.nodePort !== undefined) ? "NodePort" : "ClusterIP";
}

/** A ready endpoint by its address, or with more said. */
export type EndpointSpec =
  | string
  | {
      readonly ip: string;
      readonly ready?: boolean;
      readonly serving?: boolean;
      readonly terminating?: boolean;
      readonly node?: string;
      readonly zones?: readonly string[];
      readonly nodes?: readonly string[];
    };

export interface SliceSpec {
  /** Name of the Service, by default the slice's name up to its last dash. */
  readonly service?: string;
  /** By default [8080]. */
  readonly ports?: readonly PortSpec[];
  readonly endpoints?: readonly EndpointSpec[];
  /** By default the family of the first endpoint. */
  readonly addressType?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The JSON of an EndpointSlice: `sliceObject("shop/web-1", { ports: [8080], endpoints: ["10.244.1.5"] })`. */
export function sliceObject(name: string, said: SliceSpec = {}): Record<string, unknown> {
  const service = said.service ?? name.slice(name.indexOf("/") + 1).replace(/-[^-]*$/, "");
  const endpoints = (said.endpoints ?? []).map(endpointObject);
  const isIPv6 = endpoints[0]?.addresses[0]?.includes(":") ?? false;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      ...metadata(name, { "kubernetes.io/service-name": service, ...said.labels }),
      ...(said.annotations === undefined ? {} : { annotations: said.annotations }),
    },
    addressType: said.addressType ?? (isIPv6 ? "IPv6" : "IPv4"),
    ports: (said.ports ?? [8080]).map(portObject),
    endpoints,
  };
}

export interface NodeSpec {
  readonly zone?: string;
  /** InternalIPs. */
  readonly ips?: readonly string[];
  readonly externalIPs?: readonly string[];
  readonly podCIDRs?: readonly string[];
  /** Keys of taints. */
  readonly taints?: readonly string[];
}

/** The JSON of a v1 Node: `nodeObject("node-a", { zone: "z1", ips: ["192.168.0.1"] })`. */
export function nodeObject(name: string, said: NodeSpec = {}): Record<string, unknown> {
  const address = (type: string) => (ip: string) => ({ type, address: ip });
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: said.zone === undefined ? {} : { "topology.kubernetes.io/zone": said.zone } },
    spec: { podCIDRs: said.podCIDRs ?? [], taints: (said.taints ?? []).map((key) => ({ key, effect: "NoSchedule" })) },
    status: {
      addresses: [
        ...(said.externalIPs ?? []).map(address("ExternalIP")),
        ...(said.ips ?? []).map(address("InternalIP")),
      ],
    },
  };
}

/** The decoded Service of `serviceObject`; throws when a field of it is rejected or it is unwanted. */
export function service(name: string, said: ServiceSpec = {}): Service {
  return clean(decodeService(serviceObject(name, said)));
}

/** The decoded EndpointSlice of `sliceObject`; throws when a field of it is rejected or it is unwanted. */
export function slice(name: string, said: SliceSpec = {}): EndpointSlice {
  return clean(decodeEndpointSlice(sliceObject(name, said)));
}

/** The decoded Node of `nodeObject`; throws when a field of it is rejected. */
export function clusterNode(name: string, said: NodeSpec = {}): ClusterNode {
  return clean(decodeNode(nodeObject(name, said)));
}

/** The JSON of a v1 ServiceCIDR. */
export function serviceCIDRObject(name: string, cidrs: readonly string[]): Record<string, unknown> {
  return { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", metadata: metadata(name), spec: { cidrs } };
}

/** The decoded ServiceCIDR of these networks; throws when one is rejected. */
export function serviceCIDR(name: string, cidrs: readonly string[]): ServiceCIDR {
  return clean(decodeServiceCIDR(serviceCIDRObject(name, cidrs)));
}

function clean<Value>(decoded: Decoded<string, Value>): Value {
  if (decoded.kind === "accepted" && decoded.problems.length === 0) return decoded.value;
  throw new Error(`The built object is not clean: ${JSON.stringify(decoded)}`);
}

function metadata(name: string, labels: Readonly<Record<string, string>> = {}): Record<string, unknown> {
  const [first = "", second] = name.split("/");
  return second === undefined ? { name: first, labels } : { namespace: first, name: second, labels };
}

function portObject(port: PortSpec): PortObject {
  return typeof port === "number" ? { port } : port;
}

function affinityOf(timeoutSeconds: number): Record<string, unknown> {
  return { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds } } };
}

function endpointObject(said: EndpointSpec): { addresses: readonly string[] } & Record<string, unknown> {
  if (typeof said === "string") return { addresses: [said], conditions: { ready: true } };
  const { ip, node, zones, nodes, ...conditions } = said;
  return {
    addresses: [ip],
    conditions,
    ...(node === undefined ? {} : { nodeName: node }),
    ...(zones === undefined && nodes === undefined ? {} : { hints: hintsOf(zones, nodes) }),
  };
}

function hintsOf(zones: readonly string[] = [], nodes: readonly string[] = []): Record<string, unknown> {
  const named = (names: readonly string[]) => names.map((name) => ({ name }));
  return { forZones: named(zones), forNodes: named(nodes) };
}
