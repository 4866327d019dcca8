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

/** "port name/protocol" within one Service, as "http/TCP" or "/UDP" for an unnamed port: what joins Service and slices. */
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

/** The Service behind which the API servers are, which they make themselves under this name. */
export const KUBERNETES = serviceName("default", "kubernetes");

/** A Service that wants something of a node proxy: never headless, never ExternalName, never another proxy's. */
export interface Service {
  readonly name: ServiceName;
  /** At most one for each family, in the order of `spec.ipFamilies`. */
  readonly clusterIPs: readonly IPAddress[];
  readonly ports: readonly ServicePort[];
  /** Seconds of ClientIP affinity; 0 is none. */
  readonly affinitySeconds: number;
  readonly internalTrafficPolicy: TrafficPolicy;
  /** Of every frontend but the cluster IPs. */
  readonly externalTrafficPolicy: TrafficPolicy;
  /** Addresses somebody else routes to the nodes. Only of families of which there is a cluster IP; none twice. */
  readonly externalIPs: readonly IPAddress[];
  /** Addresses of load balancers whose packets arrive with them as destination (ipMode VIP). As above. */
  readonly loadBalancerIPs: readonly IPAddress[];
  /**
   * Who may use the load balancer IPs. Undefined: everybody, as no restriction was asked for. A restriction of which
   * nothing could be read is the empty list: nobody.
   */
  readonly sourceRanges: readonly Cidr[] | undefined;
  /** Where load balancers ask whether this node has endpoints; 0 is nowhere. */
  readonly healthCheckNodePort: number;
  /** Labelled as the cluster's DNS, whatever its ports are. */
  readonly clusterDNS: boolean;
  readonly choices: ServiceChoices;
}

/** What a Service chooses for itself where the node's configuration would decide. */
export interface ServiceChoices {
  readonly scheduling: Scheduling | undefined;
  /** Every datagram to a UDP port is scheduled by itself, as if it were a connection. */
  readonly onePacket: boolean;
  /** How long removed TCP endpoints may keep their connections, in ms; 0 cuts them. */
  readonly drainTimeoutMs: number | undefined;
}

/** Shared by every Service that leaves all to the node. */
export const NO_CHOICES: ServiceChoices = { scheduling: undefined, onePacket: false, drainTimeoutMs: undefined };

export type TrafficPolicy = "Cluster" | "Local";

/** The two that a Service has a policy for: clients inside the cluster use cluster IPs, clients outside all other frontends. */
export type TrafficSide = "internal" | "external";
export const TRAFFIC_SIDES: readonly TrafficSide[] = ["internal", "external"];

export interface ServicePort {
  readonly key: PortKey;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0 is none. */
  readonly nodePort: number;
}

/** One backend of one port of a Service. `port` is the number the pod listens on. */
export interface Endpoint {
  readonly address: IPAddress;
  readonly port: number;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Name of the node it runs on; "" when unknown. */
  readonly nodeName: string;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** What weighted schedulers make of it, 0 to 65535; 0 takes no new connections. */
  readonly weight: number;
}

/** The part of an EndpointSlice a proxy reads. */
export interface EndpointSlice {
  readonly name: SliceName;
  readonly service: ServiceName;
  readonly family: IPFamily;
  readonly endpoints: SliceEndpoints;
  /** When the change that this version carries was made, in ms since the epoch; 0 when unknown. */
  readonly changedAtUnixMs: number;
}

/** The part of a Node a proxy reads. */
export interface ClusterNode {
  readonly name: string;
  /** Value of the label `topology.kubernetes.io/zone`; "" without one. */
  readonly zone: string;
  /** InternalIPs, then ExternalIPs, in listed order. */
  readonly addresses: readonly IPAddress[];
  readonly podCIDRs: readonly Cidr[];
  /** Being deleted, or tainted by the cluster autoscaler for deletion. */
  readonly leaving: boolean;
}

/** Networks out of which the API gives Services their cluster IPs. Outside of tests one, or one of each family. */
export interface ServiceCIDR {
  readonly name: string;
  readonly networks: readonly Cidr[];
}

/** Something that was asked for and cannot be done, told so that its owner finds the line to mend. */
export interface Rejection {
  /** What it is, as "Service shop/web" or "file shop.yaml document 3". */
  readonly object: string;
  /** Path of the field, as "spec.ports[1].port"; "" for the whole object. */
  readonly field: string;
  /** The offending value as text. */
  readonly value: string;
  readonly reason: string;
}
