import type { ServiceName } from "../model/service.ts";
import type { ClusterEvent } from "../services/events.ts";
import { ServiceTable } from "../services/service-table.ts";
import { DesiredState } from "./desired-state.ts";
import type { Keys } from "./keys.ts";
import type { NodeFacts } from "./node-facts.ts";
import { wants } from "./wants.ts";

/**
 * The pure half of the line: events go in, names of kernel objects whose desired value changed come out.
 * Between the two stands a list of stale Services, so that many events of one Service cost one computation, nothing is
 * computed before the first lists are complete, and a change of the node's facts can be worked off in slices.
 */
export class ProxyState {
  readonly table = new ServiceTable();
  readonly desired = new DesiredState();
  readonly #stale = new Set<ServiceName>();
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

  /** Takes an event in; returns how many Services it made stale. */
  apply(event: ClusterEvent): number {
    const touched = this.table.apply(event);
    for (const name of touched) this.#stale.add(name);
    return touched.length;
  }

  /** Takes in new facts of this node. Every Service is computed anew, because any may depend on them. */
  setFacts(facts: NodeFacts): void {
    this.#facts = facts;
    for (const name of this.table.serviceNames()) this.#stale.add(name);
  }

  /** Computes at most `limit` stale Services; what changed, one element for each Service with a change. */
  advance(limit: number): readonly Keys[] {
    const changes: Keys[] = [];
    let left = limit;
    for (const name of this.#stale) {
      if (left === 0) break;
      left -= 1;
      this.#stale.delete(name);
      const keys = this.desired.replace(name, this.#wants(name));
      if (keys.servers.size + keys.addresses.size + keys.entries.size > 0) changes.push(keys);
    }
    return changes;
  }

  #wants(name: ServiceName): ReturnType<typeof wants> | undefined {
    const service = this.table.service(name);
    return service === undefined ? undefined : wants(service, this.table.endpoints(name), this.#facts);
  }
}
