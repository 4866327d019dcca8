import { compareParts, isSorted } from "../model/real-servers.ts";
import type { Endpoint, EndpointSlice, PortKey, SliceName } from "../model/service.ts";

/** The endpoints of one Service for each port, in the order in which slices name the ports. */
export interface EndpointsByPort extends Iterable<readonly [PortKey, readonly Endpoint[]]> {
  /** The endpoints of the port, none where no slice has it. */
  get(port: PortKey): readonly Endpoint[];
  /** The endpoints whatever their ports, each with port 0, for questions about pods. */
  pods(): readonly Endpoint[];
}

/**
 * The endpoints of one Service, for each port the union over its slices of both families, sorted by address, then port.
 * An address and port that occur several times are one endpoint: the ready one, else the serving one, else the one of
 * the slice that comes first by name, within one slice the one listed first. A pod that moves between slices is in both
 * for a moment, so the better state is the truer one. The result does not depend on the order of the slices.
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

  pods(): readonly Endpoint[] {
    const withPorts = this.#slices.filter(({ endpoints }) => endpoints.hasPorts);
    return merged(withPorts.map((slice) => ({ slice, port: 0 })));
  }

  *[Symbol.iterator](): Generator<readonly [PortKey, readonly Endpoint[]]> {
    for (const port of this.#ports.keys()) yield [port, this.get(port)];
  }
}

function merged(parts: readonly PortInSlice[]): readonly Endpoint[] {
  const [first] = parts;
  if (first === undefined) return [];
  const all =
    parts.length === 1
      ? first.slice.endpoints.at(first.port)
      : parts.flatMap(({ slice, port }) => slice.endpoints.at(port));
  return isSorted(all) ? all : distinct(all);
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
