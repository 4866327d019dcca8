import { type Problem, problemObject } from "../model/cluster/problem.ts";
import type { EndpointSlice, PortKey, Service, ServiceName, ServicePortName } from "../model/cluster/service.ts";
import { parseVirtualServerKey, type VirtualServer } from "../model/kernel/ipvs.ts";
import { countOf, type KeyLists, type Keys, NO_KEYS } from "../model/kernel/keys.ts";
import type { OwnedServer } from "../model/kernel/traffic.ts";
import type { Steps } from "../model/steps.ts";
import type { NodeFacts } from "../node/node-facts.ts";
import { localMark, localMarkCount } from "../node/rules/local-mark.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import { ServiceTable } from "../services/service-table.ts";
import { buildDesiredNode, THE_NODE } from "./desired-node.ts";
import { DesiredState } from "./desired-state.ts";
import { EndpointGuard, type GuardedService } from "./endpoint-guard.ts";
import { LocalMarks } from "./local-marks.ts";
import { NoLocalEndpoints } from "./no-local-endpoints.ts";
import {
  type DesiredService,
  type DesiredServiceInput,
  desiredServiceSteps,
  type MarkOf,
} from "./service/desired-service.ts";
import { exposedPorts, frontendProblems } from "./service/frontends.ts";
import { HealthChecks, healthCheck } from "./service/health-checks.ts";
import { schedulerProblems } from "./service/scheduling.ts";
import { portName, servedPort } from "./service/served-port.ts";
import { vipProblems } from "./service/vip-guard.ts";
import { ServiceProblems } from "./service-problems.ts";
import { ServiceQueue } from "./service-queue.ts";

/**
 * The pure part of the pipeline: it receives events, and returns the keys of kernel objects whose desired value
 * changed. In between it keeps a list of stale Services. Several events of one Service therefore cost one computation,
 * nothing is computed before the first lists are complete, and a change of the node's facts is processed in slices.
 */
export class DesiredStateBuilder {
  readonly table = new ServiceTable();
  readonly desired = new DesiredState();
  readonly healthChecks = new HealthChecks();
  readonly noLocalEndpoints = new NoLocalEndpoints();
  /** The Services without any endpoint in the cluster. */
  readonly withoutEndpoints = new Set<ServiceName>();
  readonly #stale = new ServiceQueue();
  /** The refused requests of all Services that `advance` has computed. */
  readonly problems = new ServiceProblems(this.desired);
  readonly #marks: LocalMarks;
  readonly #guard = new EndpointGuard();
  #facts: NodeFacts;
  #nodeIsStale = true;
  /** The computation of the current Service. */
  #current: Steps<KeyLists> | undefined;

  constructor(facts: NodeFacts) {
    this.#facts = facts;
    this.desired.setElsewhere(facts.ownAddresses);
    this.#marks = new LocalMarks(localMarkCount(facts.localMarkMask));
  }

  get facts(): NodeFacts {
    return this.#facts;
  }

  /** The number of waiting computations: stale Services, the current Service, and the node itself. */
  get stale(): number {
    return this.#stale.size + (this.#current === undefined ? 0 : 1) + (this.#nodeIsStale ? 1 : 0);
  }

  /** Processes an event; returns the number of Services that became stale. */
  apply(event: ClusterEvent): number {
    const slice = this.#watchedSlice(event);
    const touched = this.table.apply(event);
    if (event.kind === "servicecidr-upserted" || event.kind === "servicecidr-deleted") this.#nodeIsStale = true;
    if (event.kind === "service-upserted") this.#guard.ask(event.service.name, event.service.externalIPs);
    if (event.kind === "service-deleted") this.#guard.ask(event.name, []);
    for (const name of touched) this.#stale.add(name, this.table.service(name));
    if (!this.#guard.isWatching) return touched.length;
    const guarded = this.#guard.replaceSlice(slice, this.#watchedSlice(event));
    for (const name of guarded) this.#stale.add(name, this.table.service(name));
    return touched.length + guarded.size;
  }

  /** The Service as this node serves it: without external IPs that are addresses of endpoints. */
  served(name: ServiceName): Service | undefined {
    return this.#guard.guarded(this.table.service(name), this.#facts).service;
  }

  /** The desired virtual servers, with the ports that own them. Both may change while they are read. */
  *ownedServers(): Generator<OwnedServer> {
    for (const { server } of this.desired.servers()) {
      const port = this.#portOf(server);
      if (port !== undefined) yield { key: server.key, port };
    }
  }

  #portOf(server: VirtualServer): ServicePortName | undefined {
    const owner = this.desired.owner(server.key);
    const service = owner && this.table.service(owner);
    if (service === undefined) return undefined;
    // A virtual server by mark has no port, but it serves the frontends of its counterparts.
    const [counterpart] = server.mark === 0 ? [] : this.desired.counterparts(server.key);
    const port = servedPort(service, counterpart === undefined ? server : parseVirtualServerKey(counterpart));
    return port && portName(service, port);
  }

  /** The slice of the event as it is in the table, if external IPs depend on slices. */
  #watchedSlice(event: ClusterEvent): EndpointSlice | undefined {
    if (!this.#guard.isWatching) return undefined;
    if (event.kind === "slice-upserted") return this.table.slice(event.slice.name);
    return event.kind === "slice-deleted" ? this.table.slice(event.name) : undefined;
  }

  /** Replaces the facts of this node. Marks every Service as stale, because each may depend on the facts. */
  setFacts(facts: NodeFacts): void {
    this.#facts = facts;
    this.#nodeIsStale = true;
    for (const name of this.table.serviceNames()) this.#stale.add(name, this.table.service(name));
  }

  /**
   * Does about this many units of work on stale Services, the most urgent first. A unit is one Service, one frontend,
   * or one endpoint of a port. Returns the changes, one element for each Service with a change. A large Service may
   * take several calls: it is computed from its state at the first call, and is stale again if it changes meanwhile.
   */
  advance(units: number): readonly Keys[] {
    const changes: Keys[] = [];
    // The node comes first: it defines which packets are for NodePorts.
    if (this.#nodeIsStale) this.#computeNode(changes);
    const names = this.#stale.take((name) => this.table.hasEndpointOn(name, this.#facts.nodeName));
    for (let left = units; left > 0; ) {
      if (this.#current === undefined) {
        const { done, value: name } = names.next();
        if (done === true) break;
        left -= 1;
        this.#current = name === undefined ? undefined : this.#compute(name);
      }
      if (this.#current !== undefined) left -= this.#step(this.#current, changes);
    }
    return changes;
  }

  /** Returns the units of work that were done. */
  #step(current: Steps<KeyLists>, changes: Keys[]): number {
    const { done, value } = current.next();
    if (done !== true) return value;
    this.#current = undefined;
    if (countOf(value) > 0) changes.push(value);
    return 1;
  }

  #computeNode(changes: Keys[]): void {
    this.#nodeIsStale = false;
    const addresses = this.desired.setElsewhere(this.#facts.ownAddresses);
    // Addresses that no Service needs any more can now be removed from kube-ipvs0.
    if (addresses.length > 0) changes.push({ ...NO_KEYS, addresses });
    const keys = this.desired.replace(THE_NODE, buildDesiredNode(this.#facts, this.table.serviceNetworks()));
    if (countOf(keys) > 0) changes.push(keys);
  }

  *#compute(name: ServiceName): Steps<KeyLists> {
    const asked = this.table.service(name);
    if (asked !== undefined && !this.#guard.isCounted(asked)) yield* this.#guard.count(this.table.slices());
    // The Service is read again. If it changed during the count it is stale again, and its uncounted external IPs are
    // withheld until it is computed the next time.
    const guarded = this.#guard.guarded(this.table.service(name), this.#facts);
    const source = this.#sourceOf(name, guarded.service);
    return this.#replace(name, guarded, source && (yield* desiredServiceSteps(source)));
  }

  /** The input of the computation; undefined if the Service is deleted. */
  #sourceOf(name: ServiceName, service: Service | undefined): DesiredServiceInput | undefined {
    // These Services are computed next. Until then two Services claim the virtual server of a mark that was
    // reallocated: one of them owns it, and only the frontends of that Service use the mark.
    for (const other of this.#marks.replace(name, service === undefined ? [] : markedPorts(service)))
      this.#stale.addFirst(other);
    const endpoints = this.table.endpoints(name);
    this.healthChecks.replace(name, service && healthCheck(service, endpoints, this.#facts));
    return service && { service, endpoints, facts: this.#facts, markOf: this.#marksOf(name) };
  }

  /** Stores the result of the computation. */
  #replace(name: ServiceName, { service, problems }: GuardedService, wanted: DesiredService | undefined): KeyLists {
    this.noLocalEndpoints.replace(name, wanted?.dropped);
    if (wanted !== undefined && isWithoutEndpoints(wanted)) this.withoutEndpoints.add(name);
    else this.withoutEndpoints.delete(name);
    const refused = service && wanted ? problemsOf(service, this.#facts, this.#marks, wanted.tooLarge) : [];
    this.problems.replace(name, problems.length === 0 ? refused : [...refused, ...problems]);
    return this.desired.replace(name, wanted);
  }

  #marksOf(name: ServiceName): MarkOf {
    const marks = this.#marks.marksOf(name);
    const mask = this.#facts.localMarkMask;
    return (port) => {
      const index = marks.get(port);
      return index === undefined ? undefined : localMark(index, mask);
    };
  }
}

/** Whether a Service is served and has no endpoint. Traffic that is dropped has endpoints on other nodes. */
function isWithoutEndpoints({ servers, dropped = [] }: DesiredService): boolean {
  return servers.length > 0 && dropped.length === 0 && servers.every(({ reals }) => reals.size === 0);
}

/**
 * Under the external policy Local, clients on this node may use endpoints of the whole cluster, which needs a mark.
 */
function markedPorts(service: Service): readonly PortKey[] {
  return service.externalTrafficPolicy === "Local" ? exposedPorts(service).map(({ key }) => key) : [];
}

/** One problem for all ports without a mark: there may be thousands, and which they are depends on other Services. */
function markProblems({ name, externalTrafficPolicy }: Service, marks: LocalMarks): readonly Problem[] {
  const port = marks.firstWithout(name);
  if (port === undefined) return [];
  const reason = `needs packet marks, but none is free: clients on this node reach only endpoints on this node, at port "${port}" and the ports after it; use fewer such Services, or more bits in --local-traffic-mark-mask`;
  return [
    {
      object: problemObject("Service", name),
      field: "spec.externalTrafficPolicy",
      value: externalTrafficPolicy,
      reason,
    },
  ];
}

const NONE: readonly Problem[] = [];

function problemsOf(
  service: Service,
  facts: NodeFacts,
  marks: LocalMarks,
  tooLarge: Problem | undefined,
): readonly Problem[] {
  return (tooLarge === undefined ? NONE : [tooLarge]).concat(
    frontendProblems(service, facts),
    vipProblems(service, facts),
    schedulerProblems(service, facts),
    markProblems(service, marks),
  );
}
