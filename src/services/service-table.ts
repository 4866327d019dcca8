import type { Cidr } from "../model/address.ts";
import type {
  ClusterNode,
  EndpointSlice,
  Service,
  ServiceCIDR,
  ServiceName,
  SliceName,
} from "../model/cluster/service.ts";
import type { ClusterEvent, Resource } from "./cluster-event.ts";
import { type EndpointsByPort, mergeSlices } from "./endpoints.ts";
import { sameService, sameSlice } from "./equality.ts";

const NONE: readonly ServiceName[] = [];
const NO_SLICES: readonly EndpointSlice[] = [];

/**
 * The current Services, EndpointSlices, Nodes and ServiceCIDRs. It stores the decoded objects unchanged and merges
 * slices on request, so 500,000 endpoints cost one reference each in addition to the objects.
 */
export class ServiceTable {
  readonly #services = new Map<ServiceName, Service>();
  readonly #slices = new Map<SliceName, EndpointSlice>();
  /**
   * The slices of each Service, as a list only if there are several: most Services have one slice, and 50,000 lists
   * cost 56 bytes each.
   */
  readonly #slicesOf = new Map<ServiceName, EndpointSlice | readonly EndpointSlice[]>();
  readonly #nodes = new Map<string, ClusterNode>();
  readonly #serviceCIDRs = new Map<string, ServiceCIDR>();
  readonly #listed = new Set<Resource>();

  /**
   * Processes the event. Returns the Services whose desired state may change: none if no field that a proxy uses has
   * changed, two if a slice moves from one Service to another. Slices of an unknown Service return no name; they are
   * used when the Service is added. Nodes and ServiceCIDRs return no name either: the caller compares `node(name)` and
   * `serviceNetworks()` before and after. Programming latency is measured from `changedAtUnixMs` of an upserted slice
   * for which this returned a name.
   */
  apply(event: ClusterEvent): readonly ServiceName[] {
    switch (event.kind) {
      case "service-upserted":
        return this.#upsertService(event.service);
      case "service-deleted":
        return this.#services.delete(event.name) ? [event.name] : NONE;
      case "slice-upserted":
        return this.#upsertSlice(event.slice);
      case "slice-deleted":
        return this.#deleteSlice(event.name);
      case "node-upserted":
        this.#nodes.set(event.node.name, event.node);
        return NONE;
      case "node-deleted":
        this.#nodes.delete(event.name);
        return NONE;
      case "servicecidr-upserted":
        this.#serviceCIDRs.set(event.cidr.name, event.cidr);
        return NONE;
      case "servicecidr-deleted":
        this.#serviceCIDRs.delete(event.name);
        return NONE;
      case "listed":
        this.#listed.add(event.resource);
        return NONE;
    }
  }

  /** The NodePorts of all Services, with duplicates. */
  *nodePorts(): Generator<number> {
    for (const { ports } of this.#services.values()) for (const { nodePort } of ports) if (nodePort > 0) yield nodePort;
  }

  /** The Service; undefined if it does not exist or the proxy ignores it. */
  service(name: ServiceName): Service | undefined {
    return this.#services.get(name);
  }

  /** The names of all Services, in no particular order. */
  serviceNames(): IterableIterator<ServiceName> {
    return this.#services.keys();
  }

  slice(name: SliceName): EndpointSlice | undefined {
    return this.#slices.get(name);
  }

  /** All slices, including those of unknown Services, in no particular order. */
  slices(): Iterable<EndpointSlice> {
    return this.#slices.values();
  }

  /**
   * The endpoints of the Service by port, of both families, sorted and without duplicates. Costs O(ports of its
   * slices).
   */
  endpoints(name: ServiceName): EndpointsByPort {
    return mergeSlices(this.#slicesFor(name));
  }

  /** When the slices of the Service changed last, as they say, in ms since the epoch; 0 if unknown. */
  endpointsChangedAtUnixMs(name: ServiceName): number {
    return Math.max(0, ...this.#slicesFor(name).map(({ changedAtUnixMs }) => changedAtUnixMs));
  }

  /** Whether the Service has an endpoint on the node, ready or not. */
  hasEndpointOn(name: ServiceName, nodeName: string): boolean {
    return this.#slicesFor(name).some(({ endpoints }) => endpoints.isOn(nodeName));
  }

  node(name: string): ClusterNode | undefined {
    return this.#nodes.get(name);
  }

  /** All Nodes that the source sends, in no particular order. */
  nodes(): readonly ClusterNode[] {
    return [...this.#nodes.values()];
  }

  /**
   * The networks of cluster IPs, sorted by their text, without duplicates. Empty if the source has no ServiceCIDRs.
   */
  serviceNetworks(): readonly Cidr[] {
    const all = [...this.#serviceCIDRs.values()].flatMap(({ networks }) => networks);
    const byText = new Map(all.map((network) => [network.text, network]));
    return [...byText.values()].sort((a, b) => (a.text < b.text ? -1 : 1));
  }

  /** Whether the first list of the resource is complete. Before that, a missing object may exist. */
  isListed(resource: Resource): boolean {
    return this.#listed.has(resource);
  }

  /** Whether the first lists of Services and EndpointSlices are complete. */
  get listed(): boolean {
    return this.isListed("services") && this.isListed("endpointslices");
  }

  #upsertService(service: Service): readonly ServiceName[] {
    const known = this.#services.get(service.name);
    if (known !== undefined && sameService(known, service)) return NONE;
    this.#services.set(service.name, service);
    return [service.name];
  }

  #upsertSlice(slice: EndpointSlice): readonly ServiceName[] {
    const known = this.#slices.get(slice.name);
    if (known !== undefined && sameSlice(known, slice)) return NONE;
    const left = known !== undefined && known.service !== slice.service ? this.#deleteSlice(known.name) : NONE;
    this.#slices.set(slice.name, slice);
    this.#keepSlices(slice.service, replaced(this.#slicesFor(slice.service), known, slice));
    const touched = this.#touched(slice.service);
    return left.length === 0 ? touched : [...left, ...touched];
  }

  #deleteSlice(name: SliceName): readonly ServiceName[] {
    const slice = this.#slices.get(name);
    if (slice === undefined) return NONE;
    this.#slices.delete(name);
    this.#keepSlices(slice.service, replaced(this.#slicesFor(slice.service), slice, undefined));
    return this.#touched(slice.service);
  }

  #slicesFor(service: ServiceName): readonly EndpointSlice[] {
    const kept = this.#slicesOf.get(service) ?? NO_SLICES;
    return "name" in kept ? [kept] : kept;
  }

  #keepSlices(service: ServiceName, slices: readonly EndpointSlice[]): void {
    const [first] = slices;
    if (first === undefined) this.#slicesOf.delete(service);
    else this.#slicesOf.set(service, slices.length === 1 ? first : slices);
  }

  #touched(service: ServiceName): readonly ServiceName[] {
    return this.#services.has(service) ? [service] : NONE;
  }
}

/**
 * Returns the list with `now` in place of `before`; undefined: not in the list. V8 copies the list in one piece and
 * without spare capacity, so that 10,000 slices of one Service cost less than decoding them.
 */
function replaced(
  slices: readonly EndpointSlice[],
  before: EndpointSlice | undefined,
  now: EndpointSlice | undefined,
): readonly EndpointSlice[] {
  const at = before === undefined ? -1 : slices.indexOf(before);
  if (now === undefined) return at < 0 ? slices : slices.toSpliced(at, 1);
  return at < 0 ? slices.concat(now) : slices.with(at, now);
}
