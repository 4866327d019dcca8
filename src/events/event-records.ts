import type { EventRecord, RegardingObject } from "../model/cluster/event-record.ts";
import type { RefusedPort } from "../model/cluster/health-check.ts";
import { objectReference } from "../model/cluster/object-reference.ts";
import { type Problem, type ProblemObject, problemObjectText } from "../model/cluster/problem.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import { explanation } from "../model/explanation.ts";

/** The Event of an agent that has started. */
export function startEvent(nodeName: string, version: string): EventRecord {
  return {
    type: "Normal",
    reason: "Starting",
    action: "StartKubeIpvs",
    regarding: nodeReference(nodeName),
    note: `kube-ipvs ${version}`,
  };
}

/** The Event of a problem, about its object, or about this node if the text of the object does not name one. */
export function problemEvent(nodeName: string, { object, field, value, reason }: Problem): EventRecord {
  const known = referenceOf(object);
  const what = field === "" ? `"${value}"` : `${field} "${value}"`;
  return {
    type: "Warning",
    reason: "NotProxied",
    action: "Program",
    regarding: known ?? nodeReference(nodeName),
    note: known === undefined ? `${problemObjectText(object)}: ${what} ${reason}` : `${what} ${reason}`,
  };
}

/** The Event of a failed step of the node preparation. */
export function nodeWarningEvent(nodeName: string, warning: string): EventRecord {
  return {
    type: "Warning",
    reason: "NodePreparationFailed",
    action: "PrepareNode",
    regarding: nodeReference(nodeName),
    note: warning,
  };
}

/** The Event of a changed configuration file that is invalid. `problems` names each path, value and reason. */
export function invalidConfigEvent(nodeName: string, file: string, problems: string): EventRecord {
  return {
    type: "Warning",
    reason: "InvalidConfiguration",
    action: "LoadConfiguration",
    regarding: nodeReference(nodeName),
    note: `configuration file "${file}": ${problems}; the earlier configuration stays in use`,
  };
}

/** The Event of an agent that ends because these settings of the configuration file have changed and need a new start. */
export function changedConfigEvent(nodeName: string, file: string, settings: readonly string[]): EventRecord {
  return {
    type: "Normal",
    reason: "ConfigurationChanged",
    action: "LoadConfiguration",
    regarding: nodeReference(nodeName),
    note: `configuration file "${file}" has changed in ${settings.join(", ")}: the agent ends, and starts again with the new configuration`,
  };
}

/** The Event of another service proxy that works on this node. */
export function otherProxyEvent(nodeName: string, warning: string): EventRecord {
  return {
    type: "Warning",
    reason: "OtherProxyFound",
    action: "PrepareNode",
    regarding: nodeReference(nodeName),
    note: warning,
  };
}

/** The Event of a server of metrics or health probes that cannot listen. Its reasons are the same as in kube-proxy. */
export function listenFailureEvent(nodeName: string, server: "metrics" | "healthz", error: unknown): EventRecord {
  return {
    type: "Warning",
    reason: server === "metrics" ? "FailedToStartMetricServer" : "FailedToStartProxierHealthcheck",
    action: "Listen",
    regarding: nodeReference(nodeName),
    note: explanation(error),
  };
}

/** The Event of a request to the kernel that failed or got no answer. */
export function kernelFailureEvent(nodeName: string, error: unknown): EventRecord {
  return {
    type: "Warning",
    reason: "KernelUnavailable",
    action: "Program",
    regarding: nodeReference(nodeName),
    note: explanation(error),
  };
}

/**
 * The Event of an operation that the kernel refused, about the Service that needs the object, or about the node if no
 * Service does. `failure` names the object and the cause.
 */
export function failedOperationEvent(nodeName: string, service: ServiceName | undefined, failure: string): EventRecord {
  return {
    type: "Warning",
    reason: "FailedToProgram",
    action: "Program",
    regarding: service === undefined ? nodeReference(nodeName) : serviceReference(service),
    note: failure,
  };
}

/** The Event of a health check node port that cannot be opened. Its reason and action are the same as in kube-proxy. */
export function refusedPortEvent({ service, port, reason }: RefusedPort): EventRecord {
  return {
    type: "Warning",
    reason: "FailedToStartServiceHealthcheck",
    action: "Listen",
    regarding: serviceReference(service),
    note: `spec.healthCheckNodePort "${port}": cannot listen: ${reason}`,
  };
}

/**
 * The Event of changes that another program made to kernel objects of this agent. `repaired` has their numbers: it is sent
 * rarely, so that repetitions need not be combined.
 */
export function externalChangeEvent(nodeName: string, kind: "flush" | "change", repaired: string): EventRecord {
  const note =
    kind === "flush"
      ? `another program flushed IPVS: all virtual servers were deleted and are added again (${repaired}); stop that program, "kube-ipvs doctor" on the node looks for it`
      : `another program changed kernel objects of kube-ipvs, they are repaired: ${repaired}`;
  return {
    type: "Warning",
    reason: kind === "flush" ? "IPVSFlushed" : "KernelStateChanged",
    action: "Repair",
    regarding: nodeReference(nodeName),
    note,
  };
}

function serviceReference(service: ServiceName): RegardingObject {
  return objectReference("Service", service);
}

function nodeReference(name: string): RegardingObject {
  return { kind: "Node", namespace: "", name };
}

/** The reference of an object of an API server; undefined for a part of a manifest and for an object without a name. */
function referenceOf({ kind, namespace, name, place }: ProblemObject): RegardingObject | undefined {
  if (place !== "" || name === "") return undefined;
  return kind === "Service" || kind === "EndpointSlice" ? { kind, namespace, name } : undefined;
}
