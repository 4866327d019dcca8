import type { IPAddress } from "../model/address.ts";
import { type Problem, problemObject } from "../model/cluster/problem.ts";
import type { EndpointSlice, Service, ServiceName } from "../model/cluster/service.ts";
import type { Steps } from "../model/steps.ts";
import { externalFault, type GuardFacts } from "./service/vip-guard.ts";

const NO_ADDRESSES: readonly IPAddress[] = [];
const NOBODY: ReadonlySet<ServiceName> = new Set();
const NO_PROBLEMS: readonly Problem[] = [];

/** Endpoints of which the addresses are compared in a unit of work: reading one takes a quarter of a microsecond. */
const ENDPOINTS_PER_UNIT = 4;

/** A Service as far as it may be served here. */
export interface GuardedService {
  /** Undefined when it is gone. */
  readonly service: Service | undefined;
  /** One for each external IP that it may not have. */
  readonly problems: readonly Problem[];
}

/**
 * External IPs that are addresses of endpoints. An endpoint would be cut off from every node by such an external IP,
 * where no network of pods is known, or where the endpoint is a host.
 *
 * There are few external IPs and may be 500,000 endpoints, so nothing is kept for an endpoint, and without external IPs
 * nothing is done. An external IP is
 * - fresh when a Service has it that nobody had before;
 * - being counted from the beginning to the end of a `count`, which looks at all slices as they were at its beginning;
 *   what changes meanwhile is added and subtracted, so that the order does not matter;
 * - counted from then on: each change of a slice is added and subtracted.
 * It is forgotten when no Service has it any longer. One that is not counted yet is withheld from its Services, which
 * are to be computed later: `isCounted` says so.
 */
export class EndpointGuard {
  /** The external IPs of each Service that has any. */
  readonly #asked = new Map<ServiceName, readonly IPAddress[]>();
  readonly #askers = new Map<IPAddress, Set<ServiceName>>();
  readonly #fresh = new Set<IPAddress>();
  readonly #beingCounted = new Set<IPAddress>();
  /** How many slices list the address: of those counted, and, as far as it has come, of those being counted. */
  readonly #slices = new Map<IPAddress, number>();

  /** Whether changes of slices concern it. */
  get isWatching(): boolean {
    return this.#slices.size > 0;
  }

  /** Takes in the external IPs of a Service; none when it is gone. */
  ask(name: ServiceName, externalIPs: readonly IPAddress[]): void {
    const before = this.#asked.get(name) ?? NO_ADDRESSES;
    if (before.length + externalIPs.length === 0) return;
    if (externalIPs.length === 0) this.#asked.delete(name);
    else this.#asked.set(name, externalIPs);
    const kept = new Set(externalIPs);
    for (const address of externalIPs) this.#add(address, name);
    for (const address of before) if (!kept.has(address)) this.#drop(address, name);
  }

  /** Takes in a change of a slice (undefined: not there); returns the Services of which external IPs are to be looked at anew. */
  replaceSlice(before: EndpointSlice | undefined, after: EndpointSlice | undefined): ReadonlySet<ServiceName> {
    if (before === after) return NOBODY;
    const stale = new Set<ServiceName>();
    const come = after?.endpoints.among(this.#slices) ?? NO_ADDRESSES;
    const left = before?.endpoints.among(this.#slices) ?? NO_ADDRESSES;
    // First those that come: an address that is in both must not cease to be known meanwhile.
    for (const address of come) if (this.#countSlice(address, 1) === 1) this.#addAskers(address, stale);
    for (const address of left) if (this.#countSlice(address, -1) === 0) this.#addAskers(address, stale);
    return stale;
  }

  /** Whether `guarded` can judge all external IPs of the Service. */
  isCounted(service: Service): boolean {
    return !service.externalIPs.some((address) => this.#isUncounted(address));
  }

  /** Counts all fresh external IPs in the slices, which are all there are: one pass, however many there are. One count at a time. */
  *count(slices: Iterable<EndpointSlice>): Steps<void> {
    if (this.#fresh.size === 0) return;
    const all = [...slices];
    for (const address of this.#fresh) {
      this.#beingCounted.add(address);
      this.#slices.set(address, 0);
    }
    this.#fresh.clear();
    for (const { endpoints } of all) {
      for (const address of endpoints.among(this.#beingCounted)) this.#countSlice(address, 1);
      yield 1 + Math.ceil(endpoints.size / ENDPOINTS_PER_UNIT);
    }
    this.#beingCounted.clear();
  }

  /**
   * The Service without those external IPs that are addresses of endpoints, or may be. One that is refused for another
   * reason stays, so that it has that one reason whatever pods come and go. So does an address of this node that is meant for
   * Services: there it is served in place and cuts nobody off.
   */
  guarded(service: Service | undefined, facts: GuardFacts): GuardedService {
    if (service === undefined || service.externalIPs.length === 0) return { service, problems: NO_PROBLEMS };
    const { name, externalIPs } = service;
    const withheld = externalIPs.filter((address) => this.#isWithheld(address, facts));
    if (withheld.length === 0) return { service, problems: NO_PROBLEMS };
    const left = new Set(withheld);
    const problems = withheld
      .filter((address) => !this.#isUncounted(address))
      .map((value) => ({ object: problemObject("Service", name), field: "spec.externalIPs", value, reason: REASON }));
    return { service: { ...service, externalIPs: externalIPs.filter((address) => !left.has(address)) }, problems };
  }

  #isWithheld(address: IPAddress, facts: GuardFacts): boolean {
    const mayBeEndpoint = this.#isUncounted(address) || (this.#slices.get(address) ?? 0) > 0;
    return mayBeEndpoint && !facts.ownAddresses.includes(address) && externalFault(address, facts) === undefined;
  }

  #isUncounted(address: IPAddress): boolean {
    return this.#fresh.has(address) || this.#beingCounted.has(address);
  }

  #add(address: IPAddress, name: ServiceName): void {
    const askers = this.#askers.get(address);
    if (askers !== undefined) {
      askers.add(name);
      return;
    }
    this.#askers.set(address, new Set([name]));
    this.#fresh.add(address);
  }

  #drop(address: IPAddress, name: ServiceName): void {
    const askers = this.#askers.get(address);
    askers?.delete(name);
    if (askers?.size !== 0) return;
    this.#askers.delete(address);
    this.#fresh.delete(address);
    this.#beingCounted.delete(address);
    this.#slices.delete(address);
  }

  /** Returns how many slices list the address now. */
  #countSlice(address: IPAddress, step: 1 | -1): number {
    const count = (this.#slices.get(address) ?? 0) + step;
    this.#slices.set(address, count);
    return count;
  }

  #addAskers(address: IPAddress, stale: Set<ServiceName>): void {
    // Those of one that is being counted are computed afterwards in any case.
    if (this.#beingCounted.has(address)) return;
    for (const name of this.#askers.get(address) ?? []) stale.add(name);
  }
}

const REASON = "is the address of an endpoint";
