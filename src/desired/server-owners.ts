import type { ServiceName } from "../model/cluster/service.ts";
import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import { Claimants } from "./claim.ts";
import type { DesiredServer } from "./service/desired-service.ts";

const NO_CLAIMS: readonly DesiredServer[] = [];

/**
 * The owner of each virtual server that at least one Service claims, and the Services that lost virtual servers to
 * others. The owner follows from precedence and names, and not from the order of events.
 */
export class ServerOwners {
  /** The virtual servers as their owners define them. */
  readonly #servers = new Map<VirtualServerKey, DesiredServer>();
  /** The claims to keys that several Services claim. Lists for all keys would cost memory at 50,000 Services. */
  readonly #contested = new Map<VirtualServerKey, Claimants<DesiredServer>>();
  /** The number of claimed virtual servers that other Services own, for Services where it is above 0. */
  readonly #shadowed = new Map<ServiceName, number>();
  /** The Services for which this number has changed since the last `takeChangedShadows`. */
  #changedShadows = new Set<ServiceName>();

  /** The number of virtual servers. */
  get size(): number {
    return this.#servers.size;
  }

  /** The virtual server as its owner defines it; undefined if no Service claims it. */
  get(key: VirtualServerKey): DesiredServer | undefined {
    return this.#servers.get(key);
  }

  /** The virtual servers as their owners define them. */
  values(): Iterable<DesiredServer> {
    return this.#servers.values();
  }

  /** The claims to a virtual server that several Services claim; none if it is not contested. */
  claimsTo(key: VirtualServerKey): Iterable<DesiredServer> {
    return this.#contested.get(key) ?? NO_CLAIMS;
  }

  /** The number of virtual servers that the Service claims and other Services own. */
  shadowedServers(name: ServiceName): number {
    return this.#shadowed.get(name) ?? 0;
  }

  /** The Services that claim virtual servers of other Services. */
  shadowedServices(): Iterable<ServiceName> {
    return this.#shadowed.keys();
  }

  /** The Services that lost or regained virtual servers since the last call. */
  takeChangedShadows(): ReadonlySet<ServiceName> {
    const services = this.#changedShadows;
    if (services.size > 0) this.#changedShadows = new Set();
    return services;
  }

  /** Replaces all claims of one Service. */
  replace(before: readonly DesiredServer[], after: readonly DesiredServer[]): void {
    const left = before.length === 0 ? undefined : new Map(before.map((state) => [state.server.key, state]));
    for (const state of after) {
      const { key } = state.server;
      this.#claim(key, left?.get(key), state);
      left?.delete(key);
    }
    for (const [key, state] of left ?? []) this.#claim(key, state, undefined);
  }

  /** Replaces the previous claim of the same Service; undefined: no claim. */
  #claim(key: VirtualServerKey, known: DesiredServer | undefined, state: DesiredServer | undefined): void {
    const holder = this.#servers.get(key);
    const best = this.#isContested(key, known) ? this.#bestOf(key, known, state) : state;
    if (best === undefined) this.#servers.delete(key);
    else this.#servers.set(key, best);
    this.#countShadowed(holder, best, known, state);
  }

  /** Whether a Service other than the one of `known` claims the virtual server. */
  #isContested(key: VirtualServerKey, known: DesiredServer | undefined): boolean {
    return this.#contested.has(key) || (this.#servers.get(key) ?? known) !== known;
  }

  /** Replaces a claim to a key that several Services claim. Returns the claim with the highest precedence. */
  #bestOf(
    key: VirtualServerKey,
    known: DesiredServer | undefined,
    state: DesiredServer | undefined,
  ): DesiredServer | undefined {
    const rivals = this.#contested.get(key) ?? new Claimants(this.#servers.get(key));
    if (known !== undefined) rivals.delete(known);
    if (state !== undefined) rivals.add(state);
    if (rivals.size === 1) this.#contested.delete(key);
    else this.#contested.set(key, rivals);
    return rivals.best;
  }

  /** Updates the numbers of lost virtual servers after a claim was replaced, which may have changed the owner. */
  #countShadowed(
    holder: DesiredServer | undefined,
    best: DesiredServer | undefined,
    known: DesiredServer | undefined,
    state: DesiredServer | undefined,
  ): void {
    if (known !== undefined && holder !== known) this.#addShadowed(known.service, -1);
    if (state !== undefined && best !== state) this.#addShadowed(state.service, 1);
    if (holder === undefined || best === undefined || holder === best) return;
    // The owner changed. The old or the new owner may be a Service other than the one whose claim was replaced.
    if (holder !== known) this.#addShadowed(holder.service, 1);
    if (best !== state) this.#addShadowed(best.service, -1);
  }

  #addShadowed(name: ServiceName, step: 1 | -1): void {
    const count = this.shadowedServers(name) + step;
    if (count === 0) this.#shadowed.delete(name);
    else this.#shadowed.set(name, count);
    this.#changedShadows.add(name);
  }
}
