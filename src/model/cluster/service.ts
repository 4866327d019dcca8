import type { Cidr, IPAddress, IPFamily } from "../address.ts";
import type { Brand } from "../brand.ts";
import type { Scheduling } from "../kernel/scheduler.ts";
import type { SliceEndpoints } from "./slice-endpoints.ts";

export type Protocol = "TCP" | "UDP" | "SCTP";
export const PROTOCOLS: readonly Protocol[] = ["TCP", "UDP", "SCTP"];

/** "namespace/name" of a Service. */
export type ServiceName = Brand<string, "ServiceName">;

/** "namespace/name" of an EndpointSlice. */
export type SliceName = Brand<string, "SliceName">;

/**
 * "port name/protocol" within one Service, such as "http/TCP", or "/UDP" for an unnamed port: the key that joins
 * Service and slices.
 */
export type PortKey = Brand<string, "PortKey">;

export function serviceName(namespace: string, name: string): ServiceName {
  return `${namespace}/${name}` as ServiceName;
}

export function sliceName(namespace: string, name: string): SliceName {
  return `${namespace}/${name}` as SliceName;
}

export function portKey(portName: string, protocol: Protocol): PortKey {
  return `${portName}/${protocol}` as PortKey;
}

/** The Service of the API servers, which they create under this name. */
export const KUBERNETES = serviceName("default", "kubernetes");

/** A Service that needs a node proxy: not headless, not ExternalName and not assigned to another proxy. */
export interface Service {
  readonly name: ServiceName;
  /** At most one for each family, in the order of `spec.ipFamilies`. */
  readonly clusterIPs: readonly IPAddress[];
  readonly ports: readonly ServicePort[];
  /** Seconds of ClientIP affinity; 0 means none. */
  readonly affinitySeconds: number;
  readonly internalTrafficPolicy: TrafficPolicy;
  /** The policy of every frontend except the cluster IPs. */
  readonly externalTrafficPolicy: TrafficPolicy;
  /** Addresses that an external network routes to the nodes. Only of families that have a cluster IP; no duplicates. */
  readonly externalIPs: readonly IPAddress[];
  /**
   * Addresses of load balancers that do not rewrite the destination of packets (ipMode VIP). Only of families that have
   * a cluster IP; no duplicates.
   */
  readonly loadBalancerIPs: readonly IPAddress[];
  /**
   * The clients that may use the load balancer IPs. Undefined if there is no restriction: all clients may. A
   * restriction without a valid network is the empty list: no client may.
   */
  readonly sourceRanges: readonly Cidr[] | undefined;
  /** The port on which load balancers check whether this node has endpoints; 0 means none. */
  readonly healthCheckNodePort: number;
  /** Whether the Service has the label of the cluster DNS, whatever its ports are. */
  readonly clusterDNS: boolean;
  readonly overrides: ServiceOverrides;
}

/** The settings of a Service that override the node's configuration. */
export interface ServiceOverrides {
  readonly scheduling: Scheduling | undefined;
  /** Every datagram to a UDP port is scheduled by itself, as if it were a connection. */
  readonly onePacket: boolean;
  /** How long removed TCP endpoints may keep their connections, in ms; 0 ends them immediately. */
  readonly drainTimeoutMs: number | undefined;
}

/** The value of every Service without overrides, shared to save memory. */
export const NO_OVERRIDES: ServiceOverrides = { scheduling: undefined, onePacket: false, drainTimeoutMs: undefined };

export type TrafficPolicy = "Cluster" | "Local";

/**
 * The sides for which a Service has a traffic policy: clients inside the cluster use cluster IPs, clients outside use
 * all other frontends.
 */
export type TrafficSide = "internal" | "external";
export const TRAFFIC_SIDES: readonly TrafficSide[] = ["internal", "external"];

export interface ServicePort {
  readonly key: PortKey;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0 means none. */
  readonly nodePort: number;
}

/** A port of a Service, as operators name it. */
export interface ServicePortName {
  readonly namespace: string;
  readonly service: string;
  /** The name of the port; its number if it has no name. */
  readonly port: string;
}

/** One backend of one port of a Service. `port` is the port on which the pod listens. */
export interface Endpoint {
  readonly address: IPAddress;
  readonly port: number;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Name of the node on which it runs; "" if unknown. */
  readonly nodeName: string;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** Weight for weighted schedulers, 0 to 65535; an endpoint with 0 receives no new connections. */
  readonly weight: number;
}

/** The fields of an EndpointSlice that a proxy needs. */
export interface EndpointSlice {
  readonly name: SliceName;
  readonly service: ServiceName;
  readonly family: IPFamily;
  readonly endpoints: SliceEndpoints;
  /** Time of the change that this version of the slice contains, in ms since the epoch; 0 if unknown. */
  readonly changedAtUnixMs: number;
}

/** The fields of a Node that a proxy needs. */
export interface ClusterNode {
  readonly name: string;
  /** Value of the label `topology.kubernetes.io/zone`; "" if the label is missing. */
  readonly zone: string;
  /** The InternalIPs, then the ExternalIPs, each in the order of the object. */
  readonly addresses: readonly IPAddress[];
  readonly podCIDRs: readonly Cidr[];
  /** Whether the node is being deleted, or has the cluster autoscaler's taint for deletion. */
  readonly leaving: boolean;
}

/** Networks from which the API assigns cluster IPs. Outside of tests it is one network, or one of each family. */
export interface ServiceCIDR {
  readonly name: string;
  readonly networks: readonly Cidr[];
}
