import type { Rejection, ServiceName } from "../model/service.ts";
import type { ClusterEvent } from "../services/events.ts";
import { ServiceTable } from "../services/service-table.ts";
import { DesiredState } from "./desired-state.ts";
import type { Keys } from "./keys.ts";
import type { NodeFacts } from "./node-facts.ts";
import { StartOrder } from "./start-order.ts";
import { vipRejections } from "./vip-guard.ts";
import { wants } from "./wants.ts";

/**
 * The pure half of the line: events go in, names of kernel objects whose desired value changed come out.
 * Between the two stands a list of stale Services, so that many events of one Service cost one computation, nothing is
 * computed before the first lists are complete, and a change of the node's facts can be worked off in slices.
 */
export class ProxyState {
  readonly table = new ServiceTable();
  readonly desired = new DesiredState();
  readonly #stale = new StartOrder();
  /** Of the few Services that want what this node cannot give. */
  readonly #refused = new Map<ServiceName, readonly Rejection[]>();
  #facts: NodeFacts;

  constructor(facts: NodeFacts) {
    this.#facts = facts;
  }

  get facts(): NodeFacts {
    return this.#facts;
  }

  /** Services waiting for `advance`. */
  get stale(): number {
    return this.#stale.size;
  }

  /** What Services want of this node, well said, and do not get. As far as `advance` has come. */
  refused(): readonly Rejection[] {
    return [...this.#refused.values()].flat();
  }

  /** Takes an event in; returns how many Services it made stale. */
  apply(event: ClusterEvent): number {
    const touched = this.table.apply(event);
    for (const name of touched) this.#stale.add(name, this.table.service(name));
    return touched.length;
  }

  /** Takes in new facts of this node. Every Service is computed anew, because any may depend on them. */
  setFacts(facts: NodeFacts): void {
    this.#facts = facts;
    for (const name of this.table.serviceNames()) this.#stale.add(name, this.table.service(name));
  }

  /**
   * Looks at `limit` stale Services, at least one, and computes those that are most needed first; what changed, one
   * element for each Service with a change.
   */
  advance(limit: number): readonly Keys[] {
    const changes: Keys[] = [];
    let left = limit;
    for (const name of this.#stale.take((one) => this.table.hasEndpointOn(one, this.#facts.nodeName))) {
      if (name !== undefined) this.#compute(name, changes);
      left -= 1;
      if (left <= 0) break;
    }
    return changes;
  }

  #compute(name: ServiceName, changes: Keys[]): void {
    const service = this.table.service(name);
    this.#refuse(name, service === undefined ? [] : vipRejections(service, this.#facts.reserved));
    const keys = this.desired.replace(name, this.#wants(name));
    if (keys.servers.length + keys.addresses.length + keys.entries.length > 0) changes.push(keys);
  }

  #refuse(name: ServiceName, rejections: readonly Rejection[]): void {
    if (rejections.length > 0) this.#refused.set(name, rejections);
    else this.#refused.delete(name);
  }

  #wants(name: ServiceName): ReturnType<typeof wants> | undefined {
    const service = this.table.service(name);
    return service === undefined ? undefined : wants(service, this.table.endpoints(name), this.#facts);
  }
}
