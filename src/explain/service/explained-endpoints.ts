import { exposedPorts } from "../../desired/service/frontends.ts";
import { addressPort, familyOf, type IPFamily } from "../../model/address.ts";
import type { Endpoint, Service, ServicePort, TrafficPolicy, TrafficSide } from "../../model/cluster/service.ts";
import { isLocal, selectEndpoints } from "../../services/topology.ts";
import type { ServiceView } from "./service-view.ts";

/** The clients that an endpoint serves. */
export type Used =
  | "all"
  /** By ClusterIP only, or only for clients on this node. */
  | "some"
  | "none";

/** One endpoint of a port, and why this node uses it or not. */
export interface ExplainedEndpoint {
  /** Address and port, as "10.244.1.5:8080". */
  readonly endpoint: string;
  /** "" if unknown. */
  readonly node: string;
  readonly state: "ready" | "not ready" | "terminating";
  readonly used: Used;
  /** Why it is not used, or only by some clients; "" if all use it. */
  readonly reason: string;
}

/** Explains all endpoints of a port, in the order of their addresses. */
export function explainEndpoints({ service, endpoints, facts }: ServiceView, port: ServicePort): ExplainedEndpoint[] {
  if (service === undefined) return [];
  const all = endpoints.get(port.key);
  const selections = {
    IPv4: selectionOf("IPv4", all, { service, facts }),
    IPv6: selectionOf("IPv6", all, { service, facts }),
  };
  return all.map((endpoint) => ({
    endpoint: addressPort(endpoint.address, endpoint.port),
    node: endpoint.nodeName,
    state: endpoint.terminating ? "terminating" : endpoint.ready ? "ready" : "not ready",
    ...verdict(endpoint, selections[familyOf(endpoint.address)]),
  }));
}

type Surroundings = Required<Pick<ServiceView, "facts">> & { readonly service: Service };

/** What this node selects of the endpoints of one family. */
interface Selection extends Surroundings {
  readonly family: IPFamily;
  readonly cluster: ReadonlySet<Endpoint>;
  readonly local: ReadonlySet<Endpoint>;
  /** Whether an endpoint has a hint for this node. */
  readonly isHinted: boolean;
}

function selectionOf(family: IPFamily, all: readonly Endpoint[], around: Surroundings): Selection {
  const endpoints = all.filter(({ address }) => familyOf(address) === family);
  const { cluster, local } = selectEndpoints(endpoints, { cluster: true, local: true }, around.facts);
  const isHinted = endpoints.some(({ nodeHints }) => nodeHints.includes(around.facts.nodeName));
  return { ...around, family, cluster: new Set(cluster), local: new Set(local), isHinted };
}

function verdict(endpoint: Endpoint, selection: Selection): Pick<ExplainedEndpoint, "used" | "reason"> {
  const { service, facts, family, cluster, local } = selection;
  const unserved = !facts.families.includes(family)
    ? `this node does not serve ${family}`
    : !service.clusterIPs.some((address) => familyOf(address) === family)
      ? `the Service has no ClusterIP of ${family}`
      : undefined;
  if (unserved !== undefined) return { used: "none", reason: unserved };
  if (!cluster.has(endpoint) && !local.has(endpoint)) return { used: "none", reason: unusable(endpoint, selection) };
  const { used, reason } = byPolicy(endpoint, selection);
  if (used !== "none" && endpoint.weight === 0)
    return { used: "none", reason: "its weight is 0: it keeps connections and gets no new ones" };
  return { used, reason };
}

function unusable({ ready, serving, terminating, zoneHints, nodeHints }: Endpoint, selection: Selection): string {
  const { facts, isHinted } = selection;
  if (terminating && serving) return "it is terminating, and other endpoints are ready";
  if (terminating) return "it is terminating and does not serve any more";
  if (!ready) return "it is not ready";
  if (nodeHints.length > 0 && isHinted)
    return `its hints are for ${named("node", nodeHints)}, and this node is "${facts.nodeName}"`;
  return `its hints are for ${named("zone", zoneHints)}, and this node is in zone "${facts.zone}"`;
}

function named(what: string, names: readonly string[]): string {
  return `${what}${names.length === 1 ? "" : "s"} ${names.map((name) => `"${name}"`).join(", ")}`;
}

/** The part of the traffic policies for an endpoint that one of the selections has. */
function byPolicy(endpoint: Endpoint, selection: Selection): Pick<ExplainedEndpoint, "used" | "reason"> {
  const { service, cluster, local } = selection;
  const { internalTrafficPolicy: internal, externalTrafficPolicy: external } = service;
  const serves = (policy: TrafficPolicy) => (policy === "Local" ? local : cluster).has(endpoint);
  const isExposed = exposedPorts(service).length > 0;
  const reasons = [
    ...(serves(internal) ? [] : [`${whyNot(endpoint, "internal", selection)}: the ClusterIP does not use it`]),
    ...(!isExposed || serves(external)
      ? []
      : [`${whyNot(endpoint, "external", selection)}: clients outside do not reach it`]),
  ];
  if (reasons.length === 0) return { used: "all", reason: lastResort(endpoint) };
  const isUsed = serves(internal) || (isExposed && (serves(external) || cluster.has(endpoint)));
  return { used: isUsed ? "some" : "none", reason: reasons.join("; ") };
}

function whyNot(endpoint: Endpoint, side: TrafficSide, selection: Selection): string {
  const policy = selection.service[`${side}TrafficPolicy`];
  if (policy === "Cluster" || isLocal(endpoint, selection.facts)) return unusable(endpoint, selection);
  const { nodeName } = endpoint;
  return `${side}TrafficPolicy is Local and it is on ${nodeName === "" ? "an unknown node" : `node "${nodeName}"`}`;
}

function lastResort({ ready, terminating }: Endpoint): string {
  return terminating && !ready ? "it is terminating: it is used because no endpoint is ready" : "";
}
