import type { RefusedPort } from "../model/cluster/health-check.ts";
import type { Notice, ObjectReference } from "../model/cluster/notice.ts";
import type { Rejection, ServiceName } from "../model/cluster/service.ts";

/** The agent has started. */
export function startNotice(nodeName: string, version: string): Notice {
  return {
    type: "Normal",
    reason: "Starting",
    action: "StartKubeIpvs",
    regarding: nodeReference(nodeName),
    note: `kube-ipvs ${version}`,
  };
}

/** Something of an object cannot be done; told about the object, or about this node where the object cannot be named. */
export function rejectionNotice(nodeName: string, { object, field, value, reason }: Rejection): Notice {
  const known = referenceOf(object);
  const what = field === "" ? `"${value}"` : `${field} "${value}"`;
  return {
    type: "Warning",
    reason: "NotProxied",
    action: "Program",
    regarding: known ?? nodeReference(nodeName),
    note: known === undefined ? `${object}: ${what} ${reason}` : `${what} ${reason}`,
  };
}

/** The node lacks something that was asked of it. */
export function nodeWarningNotice(nodeName: string, warning: string): Notice {
  return {
    type: "Warning",
    reason: "NodeNotAsWanted",
    action: "PrepareNode",
    regarding: nodeReference(nodeName),
    note: warning,
  };
}

/** The server of the metrics or of the health probes has no address to listen on yet. Reasons are kube-proxy's. */
export function listenFailureNotice(nodeName: string, server: "metrics" | "healthz", error: unknown): Notice {
  return {
    type: "Warning",
    reason: server === "metrics" ? "FailedToStartMetricServer" : "FailedToStartProxierHealthcheck",
    action: "Listen",
    regarding: nodeReference(nodeName),
    note: explanation(error),
  };
}

/** The kernel could not be asked, or did not answer. */
export function kernelFailureNotice(nodeName: string, error: unknown): Notice {
  return {
    type: "Warning",
    reason: "KernelNotAnswering",
    action: "Program",
    regarding: nodeReference(nodeName),
    note: explanation(error),
  };
}

/** The kernel refuses an object that this Service wants, or, of no Service, the node. `failure` says which and why. */
export function failedOperationNotice(nodeName: string, service: ServiceName | undefined, failure: string): Notice {
  return {
    type: "Warning",
    reason: "FailedToProgram",
    action: "Program",
    regarding: service === undefined ? nodeReference(nodeName) : serviceReference(service),
    note: failure,
  };
}

/** Load balancers cannot ask about the Service on this node. Reason and action are kube-proxy's. */
export function refusedPortNotice({ service, port, reason }: RefusedPort): Notice {
  return {
    type: "Warning",
    reason: "FailedToStartServiceHealthcheck",
    action: "Listen",
    regarding: serviceReference(service),
    note: `spec.healthCheckNodePort "${port}" cannot be listened on: ${reason}`,
  };
}

/** The message of an error, followed by the messages of its causes. */
export function explanation(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${explanation(error.cause)}`;
}

function serviceReference(service: ServiceName): ObjectReference {
  const [namespace = "", name = ""] = service.split("/");
  return { kind: "Service", namespace, name };
}

function nodeReference(name: string): ObjectReference {
  return { kind: "Node", namespace: "", name };
}

/** The object that a rejection names: "Service shop/web". */
function referenceOf(object: string): ObjectReference | undefined {
  const [, kind, namespace = "", name = ""] = /^(Service|EndpointSlice) ([^\s/]+)\/([^\s/]+)$/.exec(object) ?? [];
  if (kind === "Service" || kind === "EndpointSlice") return { kind, namespace, name };
  return undefined;
}
