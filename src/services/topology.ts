import type { Endpoint } from "../model/cluster/service.ts";
import { only } from "../model/only.ts";

/** The selections of endpoints that the frontends of a port need, by its traffic policies. */
export interface EndpointNeeds {
  readonly cluster: boolean;
  readonly local: boolean;
}

/** The node and its zone. "" means unknown: then no endpoint is local, or in the same zone. */
export interface NodeLocation {
  readonly nodeName: string;
  readonly zone: string;
}

/** The usable endpoints of a port on this node. */
export interface EndpointSelection {
  /**
   * The endpoints for policy Cluster. Undefined: not needed, or the port has no endpoints. Empty: no endpoint is
   * usable.
   */
  readonly cluster: readonly Endpoint[] | undefined;
  /** The endpoints for policy Local; undefined and empty have the same meaning as for `cluster`. */
  readonly local: readonly Endpoint[] | undefined;
  /**
   * Whether any endpoint is usable. With an empty `local`, true means that clients are dropped, false that they are
   * refused.
   */
  readonly hasAny: boolean;
}

const NOTHING: EndpointSelection = { cluster: undefined, local: undefined, hasAny: false };

/**
 * Selects endpoints as every mode of kube-proxy does (CategorizeEndpoints; KEP-1669 terminating endpoints, KEP-2433
 * topology hints, KEP-3015 traffic distribution). All endpoints must be of one port and one family: hints are used only
 * if every ready endpoint has them, and each family of a dual-stack Service has its own hints.
 */
export function selectEndpoints(
  endpoints: readonly Endpoint[],
  needs: EndpointNeeds,
  place: NodeLocation,
): EndpointSelection {
  if (endpoints.length === 0) return NOTHING;
  const cluster = needs.cluster ? selectCluster(endpoints, place) : undefined;
  const local = needs.local ? usable(only(endpoints, (endpoint) => isLocal(endpoint, place))) : undefined;
  const usedByCluster = cluster !== undefined && cluster.length > 0;
  return { cluster, local, hasAny: usedByCluster || (needs.local && endpoints.some(mayServe)) };
}

/** The ready endpoints; if there are none, the endpoints that still serve while they terminate. */
function usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const ready = only(endpoints, isReady);
  return ready.length > 0 ? ready : only(endpoints, isLastResort);
}

/** As `usable`, but only the ready endpoints for this node or zone if the hints allow it. */
function selectCluster(endpoints: readonly Endpoint[], place: NodeLocation): readonly Endpoint[] {
  const found = usable(endpoints);
  return found.some(isReady) ? near(found, place) : found;
}

/**
 * The endpoints with a hint for this node, else for this zone, else all. If some endpoints have no hint, hints are
 * ignored.
 */
function near(ready: readonly Endpoint[], place: NodeLocation): readonly Endpoint[] {
  return (
    hinted(ready, (endpoint) => endpoint.nodeHints, place.nodeName) ??
    hinted(ready, (endpoint) => endpoint.zoneHints, place.zone) ??
    ready
  );
}

function hinted(
  ready: readonly Endpoint[],
  hintsOf: (endpoint: Endpoint) => readonly string[],
  here: string,
): readonly Endpoint[] | undefined {
  if (here === "" || ready.some((endpoint) => hintsOf(endpoint).length === 0)) return undefined;
  const found = only(ready, (endpoint) => hintsOf(endpoint).includes(here));
  return found.length > 0 ? found : undefined;
}

/** Whether the endpoint runs on this node. */
export function isLocal(endpoint: Endpoint, place: NodeLocation): boolean {
  return endpoint.nodeName !== "" && endpoint.nodeName === place.nodeName;
}

/**
 * Whether the endpoint may run on this node: slices that are mirrored or written by hand have no node names. Use it
 * where a missing endpoint is harmful on its node and a superfluous one is harmless. Traffic policies use `isLocal`.
 */
export function mayBeLocal(endpoint: Endpoint, place: NodeLocation): boolean {
  return endpoint.nodeName === "" || endpoint.nodeName === place.nodeName;
}

/** A ready endpoint that is terminating (publishNotReadyAddresses) counts as ready. */
function isReady(endpoint: Endpoint): boolean {
  return endpoint.ready;
}

/** Whether the endpoint still serves while it terminates. Such endpoints are used if none is ready. */
function isLastResort(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}

function mayServe(endpoint: Endpoint): boolean {
  return isReady(endpoint) || isLastResort(endpoint);
}
