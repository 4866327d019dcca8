import type { Endpoint, EndpointSlice, PortKey, SliceName } from "../model/cluster/service.ts";
import { compareParts, isSorted } from "../model/kernel/real-servers.ts";

/** The endpoints of one Service for each port, in the order in which slices name the ports. */
export interface EndpointsByPort extends Iterable<readonly [PortKey, readonly Endpoint[]]> {
  /** The endpoints of the port, none where no slice has it. */
  get(port: PortKey): readonly Endpoint[];
  /** How many endpoints the slices list for the port, each copy counted: `get` costs as much. */
  listed(port: PortKey): number;
  /** The endpoints whatever their ports, each with port 0, for questions about pods. One in several slices comes several times. */
  pods(): readonly Endpoint[];
}

/**
 * The endpoints of one Service, for each port the union over its slices of both families, sorted by address, then port.
 * An address and port that occur several times are one endpoint, chosen as kube-proxy does: a copy that does not terminate
 * counts before those that do, whatever its readiness, for the address may be a new pod's before the old pod is gone. Where
 * kube-proxy's choice depends on the order in which it meets the slices, the better state counts, then the name of the slice.
 *
 * The endpoints of a port are made when they are asked for: a Service of 10,000 ports with 100 pods has a million.
 */
export function mergeSlices(slices: readonly EndpointSlice[]): EndpointsByPort {
  return new MergedSlices(slices.length < 2 ? slices : slices.toSorted(bySliceName));
}

/** A slice that has a port, and the number of the port in it. */
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

/** Sorting is stable, so copies are compared in the order of the list. */
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

/** As kube-proxy's EndpointSliceCache does it. */
function replacesInSlice(later: Endpoint): boolean {
  return !later.terminating;
}

/** A fixed one of the results that kube-proxy may come to. */
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
