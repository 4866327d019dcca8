import { compareParts, isSorted } from "../model/real-servers.ts";
import type { Endpoint, EndpointSlice, PortKey, SliceName } from "../model/service.ts";

/**
 * The endpoints of one Service, for each port the union over its slices of both families, sorted by address, then port.
 * An address and port that occur several times are one endpoint: the ready one, else the serving one, else the one of
 * the slice that comes first by name, within one slice the one listed first. A pod that moves between slices is in both
 * for a moment, so the better state is the truer one. The result does not depend on the order of the slices.
 */
export function mergeSlices(slices: readonly EndpointSlice[]): ReadonlyMap<PortKey, readonly Endpoint[]> {
  const merged = new Map<PortKey, readonly Endpoint[]>();
  for (const slice of slices.length < 2 ? slices : slices.toSorted(bySliceName)) {
    for (const [key, endpoints] of slice.endpoints) {
      const before = merged.get(key);
      merged.set(key, before === undefined ? endpoints : before.concat(endpoints));
    }
  }
  for (const [key, endpoints] of merged) if (!isSorted(endpoints)) merged.set(key, distinct(endpoints));
  return merged;
}

/** Sorting is stable, so among equals the first by slice name comes first. */
function distinct(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const best: Endpoint[] = [];
  for (const endpoint of endpoints.toSorted(compareParts)) {
    const last = best.at(-1);
    if (last === undefined || compareParts(last, endpoint) !== 0) best.push(endpoint);
    else if (rank(endpoint) > rank(last)) best[best.length - 1] = endpoint;
  }
  return best;
}

function rank(endpoint: Endpoint): number {
  if (endpoint.ready) return 2;
  return endpoint.serving ? 1 : 0;
}

function bySliceName(a: { readonly name: SliceName }, b: { readonly name: SliceName }): number {
  return a.name < b.name ? -1 : 1;
}
