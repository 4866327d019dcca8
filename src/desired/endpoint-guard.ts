import type { IPAddress } from "../model/address.ts";
import { type Problem, problemObject } from "../model/cluster/problem.ts";
import type { EndpointSlice, Service, ServiceName } from "../model/cluster/service.ts";
import type { Steps } from "../model/steps.ts";
import { externalFault, type GuardFacts } from "./service/vip-guard.ts";

const NO_ADDRESSES: readonly IPAddress[] = [];
const NOBODY: ReadonlySet<ServiceName> = new Set();
const NO_PROBLEMS: readonly Problem[] = [];

/** The number of endpoints whose addresses are compared in one unit of work. One comparison takes 0.25 us. */
const ENDPOINTS_PER_UNIT = 4;

/** A Service without the external IPs that this node must not serve. */
export interface GuardedService {
  /** Undefined if the Service is deleted. */
  readonly service: Service | undefined;
  /** One problem for each rejected external IP. */
  readonly problems: readonly Problem[];
}

/**
 * Finds external IPs that are addresses of endpoints. With such an external IP, nodes could not reach the endpoint if
 * the pod network is unknown or if the endpoint is a host.
 *
 * There are few external IPs but up to 500,000 endpoints. Nothing is stored for each endpoint, and without external IPs
 * nothing is computed. An external IP has one of these states:
 * - fresh: a Service has added it, and no Service had it before.
 * - being counted: a `count` is running. It reads all slices as they were at its start. Changes of slices during the
 *   count are added and subtracted, so the order does not matter.
 * - counted: each change of a slice is added and subtracted.
 *
 * An external IP is removed when no Service has it any more. An external IP that is not counted yet is withheld from
 * its Services, and these are computed later; see `isCounted`.
 */
export class EndpointGuard {
  /** The external IPs of each Service that has external IPs. */
  readonly #asked = new Map<ServiceName, readonly IPAddress[]>();
  readonly #askers = new Map<IPAddress, Set<ServiceName>>();
  readonly #fresh = new Set<IPAddress>();
  readonly #beingCounted = new Set<IPAddress>();
  /** The number of slices that contain the address, for external IPs that are counted or (so far) being counted. */
  readonly #slices = new Map<IPAddress, number>();

  /** Whether `replaceSlice` must be called for changes of slices. */
  get isWatching(): boolean {
    return this.#slices.size > 0;
  }

  /** Replaces the external IPs of a Service; an empty list if the Service is deleted. */
  ask(name: ServiceName, externalIPs: readonly IPAddress[]): void {
    const before = this.#asked.get(name) ?? NO_ADDRESSES;
    if (before.length + externalIPs.length === 0) return;
    if (externalIPs.length === 0) this.#asked.delete(name);
    else this.#asked.set(name, externalIPs);
    const kept = new Set(externalIPs);
    for (const address of externalIPs) this.#add(address, name);
    for (const address of before) if (!kept.has(address)) this.#drop(address, name);
  }

  /**
   * Processes a change of a slice; undefined: the slice does not exist. Returns the Services whose external IPs must be
   * checked again.
   */
  replaceSlice(before: EndpointSlice | undefined, after: EndpointSlice | undefined): ReadonlySet<ServiceName> {
    if (before === after) return NOBODY;
    const stale = new Set<ServiceName>();
    const come = after?.endpoints.among(this.#slices) ?? NO_ADDRESSES;
    const left = before?.endpoints.among(this.#slices) ?? NO_ADDRESSES;
    // New addresses are added first: the count of an address that is in both slices must not reach 0 in between.
    for (const address of come) if (this.#countSlice(address, 1) === 1) this.#addAskers(address, stale);
    for (const address of left) if (this.#countSlice(address, -1) === 0) this.#addAskers(address, stale);
    return stale;
  }

  /** Whether all external IPs of the Service are counted, so that the result of `guarded` is final. */
  isCounted(service: Service): boolean {
    return !service.externalIPs.some((address) => this.#isUncounted(address));
  }

  /** Counts all fresh external IPs in all existing slices, in one pass. Only one count may run at a time. */
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
   * Returns the Service without the external IPs that are, or may be, addresses of endpoints. An external IP that is
   * rejected for another reason is kept, so that its problem does not change with the endpoints. An address of this
   * node that is allowed for Services is kept too: it is served on its interface, and its endpoint stays reachable.
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

  /** Returns the new number of slices that contain the address. */
  #countSlice(address: IPAddress, step: 1 | -1): number {
    const count = (this.#slices.get(address) ?? 0) + step;
    this.#slices.set(address, count);
    return count;
  }

  #addAskers(address: IPAddress, stale: Set<ServiceName>): void {
    // Services with an external IP that is being counted are computed after the count anyway.
    if (this.#beingCounted.has(address)) return;
    for (const name of this.#askers.get(address) ?? []) stale.add(name);
  }
}

const REASON = "is the address of an endpoint";
