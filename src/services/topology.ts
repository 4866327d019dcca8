import type { Endpoint } from "../model/cluster/service.ts";
import { only } from "../model/only.ts";

/** Which sets the frontends of a port use, by its traffic policies. */
export interface EndpointNeeds {
  readonly cluster: boolean;
  readonly local: boolean;
}

/** This node. Either is "" when unknown; then nothing is local, or in our zone. */
export interface Place {
  readonly nodeName: string;
  readonly zone: string;
}

/** What a port may use here. */
export interface EndpointSelection {
  /** For policy Cluster. Undefined: not needed, or the port has no endpoints at all. Empty: none of them is usable. */
  readonly cluster: readonly Endpoint[] | undefined;
  /** For policy Local. Undefined and empty as above. */
  readonly local: readonly Endpoint[] | undefined;
  /** Whether an endpoint is usable anywhere: with it an empty `local` means drop, without it refuse. */
  readonly hasAny: boolean;
}

const NOTHING: EndpointSelection = { cluster: undefined, local: undefined, hasAny: false };

/**
 * Selects as every mode of kube-proxy does (CategorizeEndpoints; KEP-1669 terminating endpoints, KEP-2433 topology hints,
 * KEP-3015 traffic distribution). The endpoints are those of one port and one family: hints count only when every ready
 * endpoint has them, and dual-stack families carry their own.
 */
export function selectEndpoints(endpoints: readonly Endpoint[], needs: EndpointNeeds, place: Place): EndpointSelection {
  if (endpoints.length === 0) return NOTHING;
  const cluster = needs.cluster ? selectCluster(endpoints, place) : undefined;
  const local = needs.local ? usable(only(endpoints, (endpoint) => isLocal(endpoint, place))) : undefined;
  const usedByCluster = cluster !== undefined && cluster.length > 0;
  return { cluster, local, hasAny: usedByCluster || (needs.local && endpoints.some(mayServe)) };
}

/** Ready endpoints; without any, those that still serve while they terminate. */
function usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const ready = only(endpoints, isReady);
  return ready.length > 0 ? ready : only(endpoints, isLastResort);
}

/** As `usable`, but of ready endpoints those near us when the hints allow. */
function selectCluster(endpoints: readonly Endpoint[], place: Place): readonly Endpoint[] {
  const found = usable(endpoints);
  return found.some(isReady) ? near(found, place) : found;
}

/** Endpoints hinted to our node, else to our zone, else all. A mixture of hinted and unhinted ones switches hints off. */
function near(ready: readonly Endpoint[], place: Place): readonly Endpoint[] {
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
export function isLocal(endpoint: Endpoint, place: Place): boolean {
  return endpoint.nodeName !== "" && endpoint.nodeName === place.nodeName;
}

/**
 * Whether the endpoint may run on this node, for all that is known: slices that are written by hand or mirrored name no node.
 * For what must never be missing on the right node and does no harm on another; traffic policies ask `isLocal`.
 */
export function mayBeLocal(endpoint: Endpoint, place: Place): boolean {
  return endpoint.nodeName === "" || endpoint.nodeName === place.nodeName;
}

/** An endpoint that is ready and terminating (publishNotReadyAddresses) counts as ready. */
function isReady(endpoint: Endpoint): boolean {
  return endpoint.ready;
}

/** It still answers while it shuts down: good enough where nothing is ready. */
function isLastResort(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}

function mayServe(endpoint: Endpoint): boolean {
  return isReady(endpoint) || isLastResort(endpoint);
}
