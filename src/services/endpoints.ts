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
  for (const [key, endpoints] of merged) if (!isStrictlySorted(endpoints)) merged.set(key, distinct(endpoints));
  return merged;
}

/** Sorting is stable, so among equals the first by slice name comes first. */
function distinct(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const best: Endpoint[] = [];
  for (const endpoint of endpoints.toSorted(byAddressAndPort)) {
    const last = best.at(-1);
    if (last === undefined || byAddressAndPort(last, endpoint) !== 0) best.push(endpoint);
    else if (rank(endpoint) > rank(last)) best[best.length - 1] = endpoint;
  }
  return best;
}

/** And so without duplicates: then nothing is to be done. */
function isStrictlySorted(endpoints: readonly Endpoint[]): boolean {
  return endpoints.every((endpoint, index) => {
    const before = endpoints[index - 1];
    return before === undefined || byAddressAndPort(before, endpoint) < 0;
  });
}

function rank(endpoint: Endpoint): number {
  if (endpoint.ready) return 2;
  return endpoint.serving ? 1 : 0;
}

function bySliceName(a: { readonly name: SliceName }, b: { readonly name: SliceName }): number {
  return a.name < b.name ? -1 : 1;
}

function byAddressAndPort(a: Endpoint, b: Endpoint): number {
  if (a.address === b.address) return a.port - b.port;
  return a.address < b.address ? -1 : 1;
}
