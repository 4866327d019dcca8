import type { Endpoint, PortKey, Rejection, Service, ServiceName } from "../model/service.ts";
import type { ClusterEvent } from "../services/events.ts";
import { ServiceTable } from "../services/service-table.ts";
import { DesiredState } from "./desired-state.ts";
import { exposedPorts } from "./frontends.ts";
import { HealthChecks, healthCheck } from "./health-checks.ts";
import type { Keys } from "./keys.ts";
import { LocalMarks } from "./local-marks.ts";
import type { NodeFacts } from "./node-facts.ts";
import { nodeWants, THE_NODE } from "./node-wants.ts";
import { localMark, localMarkCount } from "./rules/local-mark.ts";
import { schedulerRejections } from "./scheduling.ts";
import { StartOrder } from "./start-order.ts";
import { vipRejections } from "./vip-guard.ts";
import { type Wants, wants } from "./wants.ts";

/**
 * The pure half of the line: events go in, names of kernel objects whose desired value changed come out.
 * Between the two stands a list of stale Services, so that many events of one Service cost one computation, nothing is
 * computed before the first lists are complete, and a change of the node's facts can be worked off in slices.
 */
export class ProxyState {
  readonly table = new ServiceTable();
  readonly desired = new DesiredState();
  readonly healthChecks = new HealthChecks();
  readonly #stale = new StartOrder();
  /** Of the few Services that want what this node cannot give. */
  readonly #refused = new Map<ServiceName, readonly Rejection[]>();
  readonly #marks: LocalMarks;
  #facts: NodeFacts;
  #nodeIsStale = true;

  constructor(facts: NodeFacts) {
    this.#facts = facts;
    this.#marks = new LocalMarks(localMarkCount(facts.localMarkMask));
  }

  get facts(): NodeFacts {
    return this.#facts;
  }

  /** Services waiting for `advance`, and the node itself. */
  get stale(): number {
    return this.#stale.size + (this.#nodeIsStale ? 1 : 0);
  }

  /** What Services want of this node, well said, and do not get, in no order. As far as `advance` has come. */
  refused(): readonly Rejection[] {
    return [...this.#refused.values()].flat();
  }

  /** Takes an event in; returns how many Services it made stale. */
  apply(event: ClusterEvent): number {
    const touched = this.table.apply(event);
    if (event.kind === "servicecidr-upserted" || event.kind === "servicecidr-deleted") this.#nodeIsStale = true;
    for (const name of touched) this.#stale.add(name, this.table.service(name));
    return touched.length;
  }

  /** Takes in new facts of this node. Every Service is computed anew, because any may depend on them. */
  setFacts(facts: NodeFacts): void {
    this.#facts = facts;
    this.#nodeIsStale = true;
    for (const name of this.table.serviceNames()) this.#stale.add(name, this.table.service(name));
  }

  /**
   * Looks at `limit` stale Services, at least one, and computes those that are most needed first; what changed, one
   * element for each Service with a change.
   */
  advance(limit: number): readonly Keys[] {
    const changes: Keys[] = [];
    let left = limit;
    // First of all: which packets are for NodePorts.
    if (this.#nodeIsStale) this.#computeNode(changes);
    for (const name of this.#stale.take((one) => this.table.hasEndpointOn(one, this.#facts.nodeName))) {
      if (name !== undefined) this.#compute(name, changes);
      left -= 1;
      if (left <= 0) break;
    }
    return changes;
  }

  #computeNode(changes: Keys[]): void {
    this.#nodeIsStale = false;
    this.#replace(THE_NODE, nodeWants(this.#facts, this.table.serviceNetworks()), changes);
  }

  #compute(name: ServiceName, changes: Keys[]): void {
    const service = this.table.service(name);
    const remarked = this.#marks.replace(name, service === undefined ? [] : markedPorts(service));
    this.#refuse(name, service);
    const endpoints = this.table.endpoints(name);
    this.healthChecks.replace(name, service && healthCheck(service, endpoints, this.#facts));
    this.#replace(name, service && this.#wants(service, endpoints), changes);
    // At once: until then they would have marks that are another's by now.
    for (const other of remarked) this.#remark(other, changes);
  }

  #remark(name: ServiceName, changes: Keys[]): void {
    const service = this.table.service(name);
    this.#refuse(name, service);
    this.#replace(name, service && this.#wants(service, this.table.endpoints(name)), changes);
  }

  #wants(service: Service, endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>): Wants {
    const marks = this.#marks.marksOf(service.name);
    return wants(service, endpoints, this.#facts, (port) => {
      const index = marks.get(port);
      return index === undefined ? undefined : localMark(index, this.#facts.localMarkMask);
    });
  }

  #replace(name: ServiceName, wanted: Wants | undefined, changes: Keys[]): void {
    const keys = this.desired.replace(name, wanted);
    if (keys.servers.length + keys.addresses.length + keys.entries.length > 0) changes.push(keys);
  }

  #refuse(name: ServiceName, service: Service | undefined): void {
    const rejections = service === undefined ? [] : refusals(service, this.#facts, this.#marks);
    if (rejections.length > 0) this.#refused.set(name, rejections);
    else this.#refused.delete(name);
  }
}

/** Under the external policy Local, clients of this node are not for the local endpoints alone. */
function markedPorts(service: Service): readonly PortKey[] {
  return service.externalTrafficPolicy === "Local" ? exposedPorts(service).map(({ key }) => key) : [];
}

/** One for all ports that go without: there may be thousands, and which they are changes with other Services. */
function markRejections({ name, externalTrafficPolicy }: Service, marks: LocalMarks): readonly Rejection[] {
  const port = marks.firstWithout(name);
  if (port === undefined) return [];
  const reason = `finds all marks of local traffic taken: clients of this node get only its own endpoints of port "${port}" and the ports after it`;
  return [{ object: `Service ${name}`, field: "spec.externalTrafficPolicy", value: externalTrafficPolicy, reason }];
}

function refusals(service: Service, facts: NodeFacts, marks: LocalMarks): readonly Rejection[] {
  return [
    ...vipRejections(service, facts.reserved),
    ...schedulerRejections(service, facts),
    ...markRejections(service, marks),
  ];
}
