import { FAMILIES, familyOf, type IPAddress, type IPFamily } from "../../model/address.ts";
import type { Problem } from "../../model/cluster/problem.ts";
import type { PortKey, Protocol, Service, ServiceName } from "../../model/cluster/service.ts";
import { addressEntry, addressPortAddressEntry, ipset, portEntry, type SetEntry } from "../../model/kernel/ipset.ts";
import { markedServer, markedServerKey, type VirtualServerKey, virtualServer } from "../../model/kernel/ipvs.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { finish, STEP, type Steps } from "../../model/steps.ts";
import type { NodeFacts } from "../../node/node-facts.ts";
import type { EndpointsByPort } from "../../services/endpoints.ts";
import { PRECEDENCE, type Precedence } from "../claim.ts";
import type { Traffic } from "../no-local-endpoints.ts";
import { EndpointSelector, type SelectedEndpoints } from "./endpoint-selector.ts";
import { admittedBy, frontendEntries, sourceRangeEntries } from "./frontend-entries.ts";
import { type Frontend, frontends, isOutside } from "./frontends.ts";
import { hashedIfSticky, schedulingOf } from "./scheduling.ts";
import { ServiceSize, sizeProblem } from "./service-size.ts";

/** A virtual server that a Service claims, and its precedence if several Services claim it. */
export interface DesiredServer extends ServerState {
  readonly service: ServiceName;
  readonly precedence: Precedence;
  /** The set members for its frontend. They are used only if this Service owns the virtual server. */
  readonly entries: readonly SetEntry[];
  /**
   * The virtual servers of the Service that serve the same frontends to other clients. For a virtual server by address
   * this is the one by mark, for clients on this node; for one by mark these are the ones by address. A packet of a
   * connection that conntrack tracks for the frontend may reach either.
   */
  readonly counterparts: readonly VirtualServerKey[];
}

/** The desired state of this node's kernel for one Service. */
export interface DesiredService {
  /** No key occurs twice, in any of the three lists. */
  readonly servers: readonly DesiredServer[];
  /** The addresses for kube-ipvs0. */
  readonly addresses: readonly IPAddress[];
  /** Set members that belong to no single virtual server. */
  readonly entries: readonly SetEntry[];
  /** The problem of a Service that is too large for this node; absent for all others, to save memory. */
  readonly tooLarge?: Problem;
  /** The traffic that is dropped because no endpoint is on this node; absent if there is none. */
  readonly dropped?: readonly Traffic[];
}

/** Returns the packet mark of the port for clients on this node; undefined if it has none. */
export type MarkOf = (port: PortKey) => number | undefined;

/** The input for the desired state of a Service. */
export interface DesiredServiceInput {
  readonly service: Service;
  readonly endpoints: EndpointsByPort;
  readonly facts: NodeFacts;
  readonly markOf: MarkOf;
}

/** A virtual server of the Service that is being computed. */
interface ServerDraft extends Omit<DesiredServer, "counterparts"> {
  entries: readonly SetEntry[];
  counterparts: readonly VirtualServerKey[];
}

/** A port of a Service with a separate virtual server for clients on this node, in one family. */
interface MarkedPort {
  readonly family: IPFamily;
  readonly protocol: Protocol;
  readonly portKey: PortKey;
  readonly mark: number;
  readonly counterparts: VirtualServerKey[];
}

const NO_COUNTERPARTS: readonly VirtualServerKey[] = [];
const NO_ENTRIES: readonly SetEntry[] = [];
const NOTHING_DROPPED: readonly Traffic[] = [];

/** As `wantsSteps`, in one step. */
export function buildDesiredService(
  service: Service,
  endpoints: EndpointsByPort,
  facts: NodeFacts,
  markOf: MarkOf,
): DesiredService {
  return finish(desiredServiceSteps({ service, endpoints, facts, markOf }));
}

/**
 * Computes the desired state of a Service: a virtual server for each frontend, with the endpoints that its traffic
 * policy allows. Without endpoints it has no real servers, and the kernel refuses connections. With the external policy
 * Local there is a second virtual server, selected by packet mark, with all endpoints of the cluster for clients on
 * this node.
 */
export function* desiredServiceSteps(source: DesiredServiceInput): Steps<DesiredService> {
  const draft = new DesiredServiceDraft(source);
  let done = 0;
  for (const frontend of draft.frontends) {
    const choice = draft.size.next(frontend);
    if (choice === undefined) break;
    const admission = draft.size.admission(frontend);
    const ranges = admission === undefined ? NO_ENTRIES : yield* sourceRangeEntries(frontend, admission);
    draft.add(frontend, choice, ranges);
    const { work } = draft;
    if (work - done < STEP) continue;
    yield work - done;
    done = work;
  }
  yield draft.work - done;
  return draft.finish();
}

/** Builds the desired state of a Service. It is not part of the generator because V8 does not optimize generators. */
class DesiredServiceDraft {
  readonly frontends: readonly Frontend[];
  readonly size: ServiceSize;
  readonly #source: DesiredServiceInput;
  readonly #selector: EndpointSelector;
  readonly #servers = new Map<VirtualServerKey, ServerDraft>();
  readonly #marked = new Map<VirtualServerKey, MarkedPort>();
  /** The traffic that is dropped at the frontends, without duplicates. */
  #dropped: readonly Traffic[] = NOTHING_DROPPED;
  #served = 0;

  constructor(source: DesiredServiceInput) {
    const { service, endpoints, facts } = source;
    this.#source = source;
    this.frontends = frontends(service, facts);
    this.#selector = new EndpointSelector(service, endpoints, facts);
    this.size = new ServiceSize(this.#selector, admittedBy(service.sourceRanges, facts));
  }

  /** The units of work that were done. */
  get work(): number {
    return this.#served + this.#selector.readEndpoints;
  }

  /** Adds the next frontend and the members of its source ranges. */
  add(frontend: Frontend, { reals, drops }: SelectedEndpoints, ranges: readonly SetEntry[]): void {
    const { service, facts, markOf } = this.#source;
    const { protocol, address, port, portKey } = frontend;
    const { scheduler, flags } = schedulingOf(service, protocol, facts);
    const { drainTimeoutMs } = service.overrides;
    const persistenceSeconds = service.affinitySeconds;
    const server = virtualServer(protocol, address, port, { scheduler, flags, drainTimeoutMs, persistenceSeconds });
    const mark = isOutside(frontend) ? markOf(portKey) : undefined;
    const record = { frontend, external: service.externalTrafficPolicy, ranges, drops, mark };
    const entries = frontendEntries(record, facts);
    const precedence = PRECEDENCE[frontend.kind];
    const draft = { server, reals, service: service.name, precedence, entries, counterparts: NO_COUNTERPARTS };
    this.#served++;
    if (drops !== undefined) this.#drop(frontend);
    // A single frontend needs no lookup: V8 internalizes a string that is looked up in a Map.
    if (this.frontends.length === 1) this.#servers.set(server.key, draft);
    else addServer(draft, this.#servers);
    if (mark !== undefined)
      addMarked({ family: familyOf(address), protocol, portKey, mark }, server.key, this.#servers, this.#marked);
  }

  /** Returns the desired state for the frontends that were added. */
  finish(): DesiredService {
    const { service, facts } = this.#source;
    for (const port of this.#marked.values()) this.#addMarkedServer(port);
    const first = this.frontends[this.#served];
    const found = first === undefined ? this.frontends : this.frontends.slice(0, this.#served);
    const addresses = boundAddresses(found, facts);
    const entries = commonEntries(service, found, addresses, this.#selector);
    const wanted = { servers: [...this.#servers.values()], addresses, entries };
    const tooLarge = first && sizeProblem(service.name, first, this.frontends.length - this.#served);
    return withNotes(wanted, this.#dropped, tooLarge);
  }

  #drop(frontend: Frontend): void {
    const traffic: Traffic = `${isOutside(frontend) ? "external" : "internal"}/${familyOf(frontend.address)}`;
    if (!this.#dropped.includes(traffic)) this.#dropped = [...this.#dropped, traffic];
  }

  #addMarkedServer({ family, protocol, portKey, mark, counterparts }: MarkedPort): void {
    const { service, facts } = this.#source;
    const { drainTimeoutMs } = service.overrides;
    const server = markedServer(family, mark, protocol, {
      ...hashedIfSticky(service, protocol, facts),
      drainTimeoutMs,
    });
    const entries = [portEntry(ipset("KUBE-LOCAL-MARK-SERVERS", family), mark)];
    const reals = this.#selector.forThisNode(portKey, family);
    const precedence = PRECEDENCE["cluster-ip"];
    this.#servers.set(server.key, {
      server,
      reals,
      service: service.name,
      precedence,
      entries,
      counterparts: counterparts.slice(),
    });
  }
}

/** Returns the same object in the usual case of no dropped traffic and no problem, because it is smaller. */
function withNotes(wanted: DesiredService, dropped: readonly Traffic[], tooLarge: Problem | undefined): DesiredService {
  if (dropped.length === 0 && tooLarge === undefined) return wanted;
  return { ...wanted, ...(dropped.length > 0 && { dropped }), ...(tooLarge && { tooLarge }) };
}

/**
 * Adds a virtual server. If two frontends have the same address and port, the first defines the virtual server, and the
 * members of both are used.
 */
function addServer(draft: ServerDraft, servers: Map<VirtualServerKey, ServerDraft>): void {
  const first = servers.get(draft.server.key);
  if (first === undefined) servers.set(draft.server.key, draft);
  else first.entries = distinct([...first.entries, ...draft.entries]);
}

function addMarked(
  port: Omit<MarkedPort, "counterparts">,
  frontend: VirtualServerKey,
  servers: ReadonlyMap<VirtualServerKey, ServerDraft>,
  marked: Map<VirtualServerKey, MarkedPort>,
): void {
  const key = markedServerKey(port.family, port.mark);
  const draft = servers.get(frontend);
  if (draft === undefined || draft.counterparts.length > 0) return;
  draft.counterparts = [key];
  const known = marked.get(key);
  if (known === undefined) marked.set(key, { ...port, counterparts: [frontend] });
  else known.counterparts.push(frontend);
}

/** The addresses for kube-ipvs0. An address on another interface of this node is local already and is left out. */
function boundAddresses(found: readonly Frontend[], { ownAddresses }: NodeFacts): readonly IPAddress[] {
  const vips = new Set<IPAddress>();
  for (const { kind, address } of found) if (kind !== "node-port") vips.add(address);
  for (const address of ownAddresses) vips.delete(address);
  return [...vips];
}

/** The members that belong to the Service as a whole. */
function commonEntries(
  { healthCheckNodePort }: Service,
  found: readonly Frontend[],
  addresses: readonly IPAddress[],
  choices: EndpointSelector,
): readonly SetEntry[] {
  const entries = addresses.map((address) => addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address));
  if (choices.local === 0 && healthCheckNodePort === 0) return distinct(entries);
  const served = FAMILIES.filter((family) => found.some(({ address }) => familyOf(address) === family));
  for (const entry of hairpinEntries(found, served, choices)) entries.push(entry);
  // Load balancers send health checks to this port. They must pass the host's firewall.
  if (healthCheckNodePort !== 0)
    for (const family of served)
      entries.push(portEntry(ipset("KUBE-HEALTH-CHECK-NODE-PORT", family), healthCheckNodePort));
  return distinct(entries);
}

/**
 * The members that masquerade a pod's connections to itself through a Service. Without masquerading the pod would see
 * its own address as source, and its replies would bypass IPVS. Endpoints in any state are included, because a
 * connection outlasts the readiness of its endpoint.
 */
function* hairpinEntries(
  found: readonly Frontend[],
  served: readonly IPFamily[],
  choices: EndpointSelector,
): Generator<SetEntry> {
  const protocols = new Map(found.map(({ portKey, protocol }) => [portKey, protocol]));
  for (const [portKey, here] of choices.here()) {
    const protocol = protocols.get(portKey);
    if (protocol === undefined) continue;
    for (const { address, port } of here) {
      if (!served.includes(familyOf(address))) continue;
      const set = ipset("KUBE-LOOP-BACK", familyOf(address));
      yield addressPortAddressEntry(set, address, protocol, port, address);
    }
  }
}

/** Removes duplicates. The returned list has no spare capacity. */
function distinct(entries: readonly SetEntry[]): readonly SetEntry[] {
  if (entries.length < 2) return entries.slice();
  const byKey = new Map<SetEntry["key"], SetEntry>();
  for (const entry of entries) if (!byKey.has(entry.key)) byKey.set(entry.key, entry);
  return [...byKey.values()];
}
