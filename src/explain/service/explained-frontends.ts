import { EndpointSelector, type SelectedEndpoints } from "../../desired/service/endpoint-selector.ts";
import { type Frontend, frontends } from "../../desired/service/frontends.ts";
import { addressPort } from "../../model/address.ts";
import type { Service } from "../../model/cluster/service.ts";
import { type VirtualServerKey, virtualServerKey } from "../../model/kernel/ipvs.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import type { RealTraffic, ServerTraffic } from "../../model/kernel/traffic.ts";
import { explainClients } from "./clients.ts";
import type { KernelView, ServiceView } from "./service-view.ts";

/** The frontends of a Service that an explanation lists at most. */
export const LISTED_FRONTENDS = 100;

/** A frontend of a Service with its virtual server. */
export interface ServedFrontend {
  readonly frontend: Frontend;
  readonly key: VirtualServerKey;
  /** The desired virtual server, also if another Service owns it. */
  readonly desired: ServerState | undefined;
  readonly drops: SelectedEndpoints["drops"];
  /** Absent if the kernel was not read, or has no such virtual server. */
  readonly actual: ServerTraffic | undefined;
}

/** The frontends of the Service on this node. */
export function servedFrontends(view: ServiceView, kernel: KernelView | undefined): readonly ServedFrontend[] {
  const { service, endpoints, facts } = view;
  if (service === undefined) return [];
  const selector = new EndpointSelector(service, endpoints, facts);
  return frontends(service, facts)
    .slice(0, LISTED_FRONTENDS)
    .map((frontend) => {
      const key = virtualServerKey(frontend.protocol, frontend.address, frontend.port);
      const { drops } = selector.select(frontend);
      return { frontend, key, desired: view.desired(key), drops, actual: kernel?.servers.get(key) };
    });
}

/** A real server as it is and as it should be. */
export interface ExplainedReal {
  readonly realServer: string;
  readonly weight: number | undefined;
  readonly desiredWeight: number | undefined;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
}

/** A frontend as an explanation shows it. */
export interface ExplainedFrontend {
  readonly kind: "ClusterIP" | "NodePort" | "load balancer IP" | "external IP";
  /** As "10.96.0.1:80/TCP". */
  readonly frontend: string;
  readonly virtualServer: VirtualServerKey;
  readonly scheduler: string;
  readonly flags: readonly string[];
  /** Seconds of client affinity; 0 means none. */
  readonly affinitySeconds: number;
  readonly owner: string;
  readonly state: "as desired" | "different" | "missing in the kernel" | "not read";
  readonly clients: readonly string[];
  readonly realServers: readonly ExplainedReal[];
}

export const KINDS: Readonly<Record<Frontend["kind"], ExplainedFrontend["kind"]>> = {
  "cluster-ip": "ClusterIP",
  "node-port": "NodePort",
  "load-balancer": "load balancer IP",
  "external-ip": "external IP",
};

export function frontendText({ address, port, protocol }: Frontend): string {
  return `${addressPort(address, port)}/${protocol}`;
}

export function explainFrontend(
  served: ServedFrontend,
  service: Service,
  view: ServiceView,
  kernel: KernelView | undefined,
): ExplainedFrontend {
  const { frontend, key, desired, drops, actual } = served;
  const server = actual?.server ?? desired?.server;
  return {
    kind: KINDS[frontend.kind],
    frontend: frontendText(frontend),
    virtualServer: key,
    scheduler: server?.scheduler ?? "",
    flags: server?.flags ?? [],
    affinitySeconds: server?.persistenceSeconds ?? 0,
    owner: view.owner(key) ?? "",
    state: stateOf(served, kernel),
    clients: explainClients(frontend, service, view.clients, drops),
    realServers: realServers(served),
  };
}

function stateOf({ desired, actual }: ServedFrontend, kernel: KernelView | undefined): ExplainedFrontend["state"] {
  if (kernel === undefined) return "not read";
  if (actual === undefined) return "missing in the kernel";
  const weights = new Map(actual.reals.map(({ real }) => [real.key, real.weight]));
  const isEqual = [...(desired?.reals ?? [])].every(({ key, weight }) => weights.get(key) === weight);
  const isSameServer = actual.server.scheduler === desired?.server.scheduler;
  return isEqual && isSameServer ? "as desired" : "different";
}

function realServers({ desired, actual }: ServedFrontend): readonly ExplainedReal[] {
  const wanted = new Map(Array.from(desired?.reals ?? [], (real) => [real.key, real]));
  const found = new Map((actual?.reals ?? []).map((traffic) => [traffic.real.key, traffic]));
  return [...new Set([...wanted.keys(), ...found.keys()])]
    .sort()
    .map((key) => explainedReal(key, found.get(key), wanted.get(key)?.weight));
}

function explainedReal(key: string, found: RealTraffic | undefined, desiredWeight: number | undefined): ExplainedReal {
  return {
    realServer: key,
    weight: found?.real.weight,
    desiredWeight,
    activeConnections: found?.active ?? 0,
    inactiveConnections: found?.inactive ?? 0,
    packetsIn: found?.packetsIn ?? 0,
    packetsOut: found?.packetsOut ?? 0,
  };
}
