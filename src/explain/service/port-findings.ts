import type { Service, ServicePort } from "../../model/cluster/service.ts";
import type { Finding } from "../finding.ts";
import type { ExplainedEndpoint } from "./explained-endpoints.ts";
import type { ServedFrontend } from "./explained-frontends.ts";
import type { ServiceView } from "./service-view.ts";

/** A port of a Service with its explained endpoints. */
export interface EndpointsOfPort {
  readonly port: ServicePort;
  readonly endpoints: readonly ExplainedEndpoint[];
}

export function portText({ port, protocol }: ServicePort): string {
  return `port ${port}/${protocol}`;
}

/** What is wrong with the endpoints of a port. */
export function portFindings(
  view: ServiceView,
  service: Service,
  { port, endpoints }: EndpointsOfPort,
  served: readonly ServedFrontend[],
): readonly Finding[] {
  if (endpoints.length === 0) return [noEndpoints(view, port)];
  if (endpoints.every(({ state }) => state === "not ready")) return [noneReady(view, port, endpoints)];
  const serves = endpoints.some(({ used, reason }) => used !== "none" || reason.includes("Local"));
  if (!serves) return [noneUsable(port, endpoints)];
  return policyFindings(
    service,
    port,
    served.filter(({ frontend }) => frontend.portKey === port.key),
  );
}

/** The namespace of a Service, for kubectl. */
function namespaceOf({ name }: ServiceView): string {
  return name.split("/")[0] ?? "";
}

function noEndpoints(view: ServiceView, port: ServicePort): Finding {
  const { endpoints } = view;
  const others = [...endpoints].map(([key]) => namedPort(key));
  const isMisnamed = others.length > 0;
  const why = isMisnamed
    ? `no EndpointSlice has ${namedPort(port.key)}, they have ${others.slice(0, 5).join(", ")}`
    : "no EndpointSlice of the Service lists an endpoint";
  return {
    severity: "error",
    what: `${portText(port)} has no endpoints, because ${why}`,
    effect: "connections are refused",
    cure: isMisnamed
      ? "Compare the name and the targetPort of the port with the ports of the pods"
      : `Compare spec.selector of the Service with the labels of the pods: kubectl -n ${namespaceOf(view)} get pods --show-labels`,
  };
}

/** The name and protocol by which a port of a Service and those of EndpointSlices belong together: `port "http" (TCP)`. */
function namedPort(key: string): string {
  const at = key.lastIndexOf("/");
  const [name, protocol] = [key.slice(0, at), key.slice(at + 1)];
  return name === "" ? `an unnamed port (${protocol})` : `port "${name}" (${protocol})`;
}

function noneReady(view: ServiceView, port: ServicePort, endpoints: readonly ExplainedEndpoint[]): Finding {
  return {
    severity: "error",
    what: `${portText(port)} has ${counted(endpoints.length, "endpoint")} and none is ready`,
    effect: "connections are refused",
    cure: `The pods still start, or their readiness probes fail: kubectl -n ${namespaceOf(view)} describe pods names the reason`,
  };
}

function noneUsable(port: ServicePort, endpoints: readonly ExplainedEndpoint[]): Finding {
  const reasons = [...new Set(endpoints.map(({ reason }) => reason))].slice(0, 3).join("; ");
  return {
    severity: "error",
    what: `${portText(port)} has ${counted(endpoints.length, "endpoint")} and none can be used here (${reasons})`,
    effect: "connections are refused",
    cure: "Check the pods of the Service",
  };
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The traffic policies that leave clients without an endpoint. */
function policyFindings(service: Service, port: ServicePort, served: readonly ServedFrontend[]): readonly Finding[] {
  const findings: Finding[] = [];
  if (served.some(({ drops }) => drops === "KUBE-DROP"))
    findings.push({
      severity: "error",
      what: `internalTrafficPolicy is Local and no endpoint of ${portText(port)} is on this node`,
      effect: "all connections from this node to the ClusterIP are dropped",
      cure: "Run a pod of the Service on this node, or set internalTrafficPolicy to Cluster",
    });
  if (served.some(({ drops }) => drops === "KUBE-DROP-EXTERNAL"))
    findings.push({
      severity: service.healthCheckNodePort === 0 ? "error" : "warning",
      what: `externalTrafficPolicy is Local and no endpoint of ${portText(port)} is on this node`,
      effect: "connections from outside that arrive at this node are dropped",
      cure: "If no load balancer sends clients to this node, nothing is wrong. Otherwise make it use the health check node port, run a pod of the Service on this node, or set externalTrafficPolicy to Cluster",
    });
  return findings;
}
