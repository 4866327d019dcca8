import type { IPFamily } from "../model/address.ts";
import type { ServiceName, TrafficSide } from "../model/cluster/service.ts";

/** The traffic of one side in one family, as "internal/IPv4". */
export type Traffic = `${TrafficSide}/${IPFamily}`;

const NONE: readonly Traffic[] = [];

/**
 * The Services whose clients this node drops, because a traffic policy is Local and all endpoints are on other nodes.
 */
export class NoLocalEndpoints {
  readonly #dropped = new Map<ServiceName, readonly Traffic[]>();
  readonly #counts = new Map<Traffic, number>();

  /** Replaces the dropped traffic of a Service, without duplicates; nothing if the Service is deleted. */
  replace(service: ServiceName, dropped: readonly Traffic[] = NONE): void {
    const before = this.#dropped.get(service);
    if (before === undefined && dropped.length === 0) return;
    if (dropped.length === 0) this.#dropped.delete(service);
    else this.#dropped.set(service, dropped);
    for (const traffic of before ?? NONE) this.#count(traffic, -1);
    for (const traffic of dropped) this.#count(traffic, 1);
  }

  /** The number of Services whose clients of this side are dropped in this family. */
  count(side: TrafficSide, family: IPFamily): number {
    return this.#counts.get(`${side}/${family}`) ?? 0;
  }

  #count(traffic: Traffic, step: 1 | -1): void {
    this.#counts.set(traffic, (this.#counts.get(traffic) ?? 0) + step);
  }
}
