import { exposedPorts } from "../../desired/service/frontends.ts";
import { addressPort, familyOf } from "../../model/address.ts";
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
  return all.map((endpoint) => explain(endpoint, all, { service, facts }));
}

type Surroundings = Required<Pick<ServiceView, "facts">> & { readonly service: Service };

function explain(endpoint: Endpoint, all: readonly Endpoint[], around: Surroundings): ExplainedEndpoint {
  const family = familyOf(endpoint.address);
  const ofFamily = all.filter(({ address }) => familyOf(address) === family);
  const { cluster = [], local = [] } = selectEndpoints(ofFamily, { cluster: true, local: true }, around.facts);
  const [inCluster, inLocal] = [cluster.includes(endpoint), local.includes(endpoint)];
  return {
    endpoint: addressPort(endpoint.address, endpoint.port),
    node: endpoint.nodeName,
    state: endpoint.terminating ? "terminating" : endpoint.ready ? "ready" : "not ready",
    ...verdict(endpoint, { ofFamily, inCluster, inLocal, ...around }),
  };
}

interface Selection extends Surroundings {
  readonly ofFamily: readonly Endpoint[];
  readonly inCluster: boolean;
  readonly inLocal: boolean;
}

function verdict(endpoint: Endpoint, selection: Selection): Pick<ExplainedEndpoint, "used" | "reason"> {
  const { service, facts, inCluster, inLocal } = selection;
  const family = familyOf(endpoint.address);
  const unserved = !facts.families.includes(family)
    ? `this node does not serve ${family}`
    : !service.clusterIPs.some((address) => familyOf(address) === family)
      ? `the Service has no ClusterIP of ${family}`
      : undefined;
  if (unserved !== undefined) return { used: "none", reason: unserved };
  if (!inCluster && !inLocal) return { used: "none", reason: unusable(endpoint, selection) };
  const { used, reason } = byPolicy(endpoint, selection);
  if (used !== "none" && endpoint.weight === 0)
    return { used: "none", reason: "its weight is 0: it keeps connections and gets no new ones" };
  return { used, reason };
}

function unusable({ ready, serving, terminating, zoneHints, nodeHints }: Endpoint, selection: Selection): string {
  const { facts, ofFamily } = selection;
  if (terminating && serving) return "it is terminating, and other endpoints are ready";
  if (terminating) return "it is terminating and does not serve any more";
  if (!ready) return "it is not ready";
  if (nodeHints.length > 0 && ofFamily.some((other) => other.nodeHints.includes(facts.nodeName)))
    return `its hints are for ${named("node", nodeHints)}, and this node is "${facts.nodeName}"`;
  return `its hints are for ${named("zone", zoneHints)}, and this node is in zone "${facts.zone}"`;
}

function named(what: string, names: readonly string[]): string {
  return `${what}${names.length === 1 ? "" : "s"} ${names.map((name) => `"${name}"`).join(", ")}`;
}

/** The part of the traffic policies for an endpoint that one of the selections has. */
function byPolicy(endpoint: Endpoint, selection: Selection): Pick<ExplainedEndpoint, "used" | "reason"> {
  const { service, inCluster, inLocal } = selection;
  const { internalTrafficPolicy: internal, externalTrafficPolicy: external } = service;
  const serves = (policy: TrafficPolicy) => (policy === "Local" ? inLocal : inCluster);
  const isExposed = exposedPorts(service).length > 0;
  const reasons = [
    ...(serves(internal) ? [] : [`${whyNot(endpoint, "internal", selection)}: the ClusterIP does not use it`]),
    ...(!isExposed || serves(external)
      ? []
      : [`${whyNot(endpoint, "external", selection)}: clients outside do not reach it`]),
  ];
  if (reasons.length === 0) return { used: "all", reason: lastResort(endpoint) };
  const isUsed = serves(internal) || (isExposed && (serves(external) || inCluster));
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
