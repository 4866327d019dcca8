import type { Endpoint, EndpointSlice, PortKey, SliceName } from "../model/cluster/service.ts";
import { compareParts, isSorted } from "../model/kernel/real-servers.ts";

/** The endpoints of one Service by port, in the order in which slices list the ports. */
export interface EndpointsByPort extends Iterable<readonly [PortKey, readonly Endpoint[]]> {
  /** The endpoints of the port; empty if no slice has the port. */
  get(port: PortKey): readonly Endpoint[];
  /**
   * The number of endpoints that the slices list for the port, with duplicates. The cost of `get` is proportional to
   * it.
   */
  listed(port: PortKey): number;
  /**
   * The endpoints of all ports, each with port 0, to examine pods. An endpoint in several slices occurs several times.
   */
  pods(): readonly Endpoint[];
}

/**
 * Merges the slices of one Service: the endpoints of a port are the union over the slices of both families, sorted by
 * address, then port. Duplicates of an address and port are merged to one endpoint as in kube-proxy: a duplicate that
 * is not terminating takes precedence over terminating ones, whatever its readiness, because a new pod may have the
 * address before the old pod is gone. Where kube-proxy's choice depends on the order of the slices, the better state
 * takes precedence, then the slice name.
 *
 * The endpoints of a port are built when they are requested: a Service with 10,000 ports and 100 pods has a million.
 */
export function mergeSlices(slices: readonly EndpointSlice[]): EndpointsByPort {
  return new MergedSlices(slices.length < 2 ? slices : slices.toSorted(bySliceName));
}

/** A slice that has the port, and the port number in it. */
interface PortInSlice {
  readonly slice: EndpointSlice;
  readonly port: number;
}

class MergedSlices implements EndpointsByPort {
  readonly #slices: readonly EndpointSlice[];
  readonly #ports = new Map<PortKey, PortInSlice[]>();

  constructor(slices: readonly EndpointSlice[]) {
    this.#slices = slices;
    for (const slice of slices) {
      for (const [key, port] of slice.endpoints.ports()) {
        const known = this.#ports.get(key);
        if (known === undefined) this.#ports.set(key, [{ slice, port }]);
        else known.push({ slice, port });
      }
    }
  }

  get(port: PortKey): readonly Endpoint[] {
    return merged(this.#ports.get(port) ?? []);
  }

  listed(port: PortKey): number {
    const parts = this.#ports.get(port) ?? [];
    const [first] = parts;
    if (first !== undefined && parts.length === 1) return first.slice.endpoints.size;
    return parts.reduce((sum, { slice }) => sum + slice.endpoints.size, 0);
  }

  pods(): readonly Endpoint[] {
    return this.#slices.flatMap(({ endpoints }) => (endpoints.hasPorts ? endpoints.at(0) : []));
  }

  *[Symbol.iterator](): Generator<readonly [PortKey, readonly Endpoint[]]> {
    for (const port of this.#ports.keys()) yield [port, this.get(port)];
  }
}

function merged(parts: readonly PortInSlice[]): readonly Endpoint[] {
  const lists = parts.map(({ slice, port }) => slice.endpoints.at(port));
  const all = lists.length === 1 ? (lists[0] ?? []) : lists.flat();
  if (isSorted(all)) return all;
  const eachDistinct = lists.map((list) => (isSorted(list) ? list : distinct(list, replacesInSlice)));
  return distinct(eachDistinct.flat(), replacesOfOtherSlice);
}

/** Sorts and merges duplicates. Sorting is stable, so duplicates are compared in the order of the list. */
function distinct(
  endpoints: readonly Endpoint[],
  replaces: (later: Endpoint, earlier: Endpoint) => boolean,
): readonly Endpoint[] {
  const chosen: Endpoint[] = [];
  for (const endpoint of endpoints.toSorted(compareParts)) {
    const last = chosen.at(-1);
    if (last === undefined || compareParts(last, endpoint) !== 0) chosen.push(endpoint);
    else if (replaces(endpoint, last)) chosen[chosen.length - 1] = endpoint;
  }
  return chosen;
}

/** Whether the later duplicate in one slice replaces the earlier one, as in kube-proxy's EndpointSliceCache. */
function replacesInSlice(later: Endpoint): boolean {
  return !later.terminating;
}

/**
 * Whether a duplicate of another slice replaces the earlier one. This is one of the results that kube-proxy may have,
 * but it does not depend on the order of slices.
 */
function replacesOfOtherSlice(later: Endpoint, earlier: Endpoint): boolean {
  return rank(later) > rank(earlier);
}

function rank({ ready, serving, terminating }: Endpoint): number {
  if (terminating) return 0;
  if (ready) return 3;
  return serving ? 2 : 1;
}

function bySliceName(a: { readonly name: SliceName }, b: { readonly name: SliceName }): number {
  return a.name < b.name ? -1 : 1;
}
