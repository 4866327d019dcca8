import { problemObjectText } from "../../model/cluster/problem.ts";
import type { Service, ServicePort } from "../../model/cluster/service.ts";
import { bySeverity, type Finding } from "../finding.ts";
import { type ExplainedEndpoint, explainEndpoints } from "./explained-endpoints.ts";
import {
  type ExplainedFrontend,
  explainFrontend,
  type ServedFrontend,
  servedFrontends,
} from "./explained-frontends.ts";
import { kernelFindings } from "./kernel-findings.ts";
import { type EndpointsOfPort, portFindings } from "./port-findings.ts";
import type { AgentTimes, KernelView, ServiceView } from "./service-view.ts";

/** The endpoints of a port that an explanation lists at most. */
const LISTED_ENDPOINTS = 200;

/** Why a Service answers or not, on one node. */
export interface Explanation {
  readonly service: string;
  readonly node: string;
  /** The most severe first; empty: nothing is wrong. */
  readonly findings: readonly Finding[];
  readonly ports: readonly ExplainedPort[];
  readonly frontends: readonly ExplainedFrontend[];
  /** When endpoints changed last, in ms since the epoch; 0 if unknown. */
  readonly endpointsChangedAtUnixMs: number;
  readonly agent?: AgentTimes;
}

export interface ExplainedPort {
  /** As "80/TCP". */
  readonly port: string;
  /** The name of the port in the Service, with its protocol. */
  readonly name: string;
  readonly endpoints: readonly ExplainedEndpoint[];
  /** The number of endpoints that are not listed. */
  readonly unlisted: number;
}

/** Restricts an explanation to one port of the Service: its number or its name; undefined: all ports. */
export type PortChoice = string | undefined;

/** What a Service is examined for: its ports, its frontends, and what is wrong with them. */
interface Examination {
  readonly findings: readonly Finding[];
  readonly ports: readonly EndpointsOfPort[];
  readonly served: readonly ServedFrontend[];
}

/** Explains a Service. Without `kernel`, the explanation is of the desired state alone. */
export function explainService(view: ServiceView, kernel: KernelView | undefined, choice: PortChoice): Explanation {
  const { name, service, facts, endpointsChangedAtUnixMs, agent } = view;
  const { findings, ports, served } = examine(view, kernel, choice);
  return {
    service: name,
    node: facts.nodeName,
    findings,
    ports: ports.map(explainedPort),
    frontends: service === undefined ? [] : served.map((one) => explainFrontend(one, service, view, kernel)),
    endpointsChangedAtUnixMs,
    ...(agent !== undefined && { agent }),
  };
}

/** A Service in one line. */
export interface ServiceSummary {
  /** The most severe first. */
  readonly findings: readonly Finding[];
  readonly frontends: readonly ServedFrontend[];
  readonly endpoints: number;
  readonly usedEndpoints: number;
}

/** Summarizes a Service by the desired state alone. */
export function summarizeService(view: ServiceView): ServiceSummary {
  const { findings, ports, served } = examine(view, undefined, undefined);
  const endpoints = ports.flatMap((port) => port.endpoints);
  const usedEndpoints = endpoints.filter(({ used }) => used !== "none").length;
  return { findings, frontends: served, endpoints: endpoints.length, usedEndpoints };
}

function examine(view: ServiceView, kernel: KernelView | undefined, choice: PortChoice): Examination {
  const { service } = view;
  const problems = view.problems.map(problemFinding).concat(view.failures.map(failureFinding));
  if (service === undefined)
    return { findings: problems.length === 0 ? [unknownService(view)] : problems, ports: [], served: [] };
  const ports = service.ports
    .filter((port) => isChosen(port, choice))
    .map((port): EndpointsOfPort => ({ port, endpoints: explainEndpoints(view, port) }));
  const keys = new Set(ports.map(({ port }) => port.key));
  const served = servedFrontends(view, kernel).filter(({ frontend }) => keys.has(frontend.portKey));
  const findings = [
    ...problems,
    ...(ports.length === 0 ? [unknownPort(service, choice)] : []),
    ...ports.flatMap((port) => portFindings(view, service, port, served)),
    ...(kernel === undefined ? [] : kernelFindings(view, served, kernel)),
  ];
  return { findings: bySeverity(findings), ports, served };
}

function isChosen({ key, port }: ServicePort, choice: PortChoice): boolean {
  return choice === undefined || choice === String(port) || key.startsWith(`${choice}/`);
}

function explainedPort({ port, endpoints: all }: EndpointsOfPort): ExplainedPort {
  const endpoints = all.slice(0, LISTED_ENDPOINTS);
  const unlisted = all.length - endpoints.length;
  return { port: `${port.port}/${port.protocol}`, name: port.key, endpoints, unlisted };
}

function problemFinding({ object, field, value, reason }: ServiceView["problems"][number]): Finding {
  const what = `${problemObjectText(object)}: ${field === "" ? "" : `${field} `}"${value}" ${reason}`;
  return {
    severity: "error",
    what,
    effect: "this setting has no effect on this node",
    cure: "Correct it; the rest of the object is served",
  };
}

function failureFinding(what: string): Finding {
  return { severity: "error", what, effect: "", cure: "" };
}

function unknownService({ name, endpoints }: ServiceView): Finding {
  const hasSlices = [...endpoints].length > 0;
  return {
    severity: "error",
    what: `this node does not proxy a Service "${name}"`,
    effect: hasSlices
      ? "there are EndpointSlices of it, so it is headless, of type ExternalName, or has the label service.kubernetes.io/service-proxy-name"
      : "it does not exist, is headless, of type ExternalName, or has the label service.kubernetes.io/service-proxy-name",
    cure: "Check the namespace and the name",
  };
}

function unknownPort({ name, ports }: Service, choice: PortChoice): Finding {
  const known = ports.map(({ port, key }) => `${port} ("${key}")`).join(", ");
  return {
    severity: "error",
    what: `Service "${name}" has no port "${choice}"`,
    effect: "",
    cure: `Its ports are ${known}`,
  };
}
