import type { ServerState } from "../kernel/kernel.ts";
import { FAMILIES, familyOf, type IPAddress, type IPFamily } from "../model/address.ts";
import { addressEntry, addressPortAddressEntry, ipset, portEntry, type SetEntry } from "../model/ipset.ts";
import { markedServer, virtualServer } from "../model/ipvs.ts";
import type { Endpoint, PortKey, Protocol, Service, ServicePort } from "../model/service.ts";
import { isLocal } from "../services/topology.ts";
import { TITLES, type Title } from "./claim.ts";
import { EndpointChoices } from "./endpoint-choice.ts";
import { frontendEntries } from "./frontend-entries.ts";
import { type Frontend, frontends, isOutside } from "./frontends.ts";
import type { NodeFacts } from "./node-facts.ts";
import { hashedIfSticky, schedulingOf } from "./scheduling.ts";

/** A virtual server that a Service wants, and how good its title is where others want it too. */
export interface WantedServer extends ServerState {
  readonly title: Title;
}

/** What one Service wants of this node's kernel. */
export interface Wants {
  /** Each key once, as in the other two. */
  readonly servers: readonly WantedServer[];
  /** To bind to kube-ipvs0. */
  readonly addresses: readonly IPAddress[];
  readonly entries: readonly SetEntry[];
}

interface MarkedPort {
  readonly family: IPFamily;
  readonly protocol: Protocol;
  readonly portKey: PortKey;
  readonly mark: number;
}

/** The packet mark of this node's own clients of a port; undefined where it has none. */
export type MarkOf = (port: PortKey) => number | undefined;

/**
 * What the Service wants: a virtual server for each frontend, on the endpoints its traffic policy allows. One without
 * such endpoints has no real servers, and the kernel refuses its clients. Under the external policy Local another one,
 * selected by packet mark, has the endpoints of the whole cluster for the clients of this node.
 */
export function wants(
  service: Service,
  endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>,
  facts: NodeFacts,
  markOf: MarkOf,
): Wants {
  const found = frontends(service, facts);
  const choices = new EndpointChoices(service, endpoints, facts);
  const { drainTimeoutMs } = service.choices;
  const servers: WantedServer[] = [];
  const entries: SetEntry[] = [];
  for (const frontend of found) {
    const { reals, drops } = choices.of(frontend);
    const { protocol, address, port, portKey } = frontend;
    const persistenceSeconds = service.affinitySeconds;
    const { scheduler, flags } = schedulingOf(service, protocol, facts);
    const options = { scheduler, flags, drainTimeoutMs, persistenceSeconds };
    servers.push({ server: virtualServer(protocol, address, port, options), reals, title: TITLES[frontend.kind] });
    const mark = isOutside(frontend) ? markOf(portKey) : undefined;
    for (const entry of frontendEntries({ frontend, service, drops, mark }, facts)) entries.push(entry);
  }
  for (const { family, protocol, portKey, mark } of markedPorts(found, markOf)) {
    const options = { ...hashedIfSticky(service, protocol, facts), drainTimeoutMs };
    const server = markedServer(family, mark, protocol, options);
    servers.push({ server, reals: choices.forThisNode(portKey, family), title: TITLES["cluster-ip"] });
    entries.push(portEntry(ipset("KUBE-LOCAL-MARK-SERVERS", family), mark));
  }
  const addresses = boundAddresses(found, facts);
  for (const address of addresses) entries.push(addressEntry(ipset("KUBE-IPVS-IPS", familyOf(address)), address));
  const isServed = (family: IPFamily) => found.some(({ address }) => familyOf(address) === family);
  addLoopBackEntries(entries, service.ports, isServed, endpoints, facts);
  addHealthCheckEntries(entries, service, isServed);
  return {
    servers: distinct(servers, ({ server }) => server.key),
    addresses,
    entries: distinct(entries, ({ key }) => key),
  };
}

/** Of several with one key the first. */
function distinct<Value, Key>(values: readonly Value[], keyOf: (value: Value) => Key): readonly Value[] {
  const isFirst = (value: Value, at: number) => values.findIndex((other) => keyOf(other) === keyOf(value)) === at;
  // Mostly they are few and differ, and a Map for each Service would be made in vain.
  if (values.length < 4 && values.every(isFirst)) return values.slice();
  const seen = new Map<Key, Value>();
  for (const value of values) if (!seen.has(keyOf(value))) seen.set(keyOf(value), value);
  return Array.from(seen.values());
}

/** The ports of a Service whose clients on this node have a virtual server of their own, for each family. */
function markedPorts(found: readonly Frontend[], markOf: MarkOf): readonly MarkedPort[] {
  const ports: MarkedPort[] = [];
  for (const frontend of found) {
    const { address, protocol, portKey } = frontend;
    const mark = isOutside(frontend) ? markOf(portKey) : undefined;
    if (mark !== undefined) ports.push({ family: familyOf(address), protocol, portKey, mark });
  }
  return distinct(ports, ({ family, portKey }) => `${family} ${portKey}`);
}

/** Addresses for kube-ipvs0. One that another interface of this node has is local already, and stays there. */
function boundAddresses(found: readonly Frontend[], { ownAddresses }: NodeFacts): readonly IPAddress[] {
  const vips: IPAddress[] = [];
  for (const { kind, address } of found)
    if (kind !== "node-port" && !vips.includes(address) && !ownAddresses.includes(address)) vips.push(address);
  return vips.slice();
}

/**
 * A pod that reaches itself through a Service must be masqueraded, or it would see its own address as the client's and
 * answer past us. Any state counts: a connection outlives the readiness of its endpoint.
 */
function addLoopBackEntries(
  entries: SetEntry[],
  ports: readonly ServicePort[],
  isServed: (family: IPFamily) => boolean,
  endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>,
  facts: NodeFacts,
): void {
  for (const { key, protocol } of ports) {
    endpoints.get(key)?.forEach((endpoint) => {
      if (!isLocal(endpoint, facts) || !isServed(familyOf(endpoint.address))) return;
      const { address, port } = endpoint;
      const set = ipset("KUBE-LOOP-BACK", familyOf(address));
      entries.push(addressPortAddressEntry(set, address, protocol, port, address));
    });
  }
}

/** Load balancers ask there whether to send traffic, whatever the host's firewall says. */
function addHealthCheckEntries(
  entries: SetEntry[],
  { healthCheckNodePort }: Service,
  isServed: (family: IPFamily) => boolean,
): void {
  if (healthCheckNodePort === 0) return;
  for (const family of FAMILIES.filter(isServed))
    entries.push(portEntry(ipset("KUBE-HEALTH-CHECK-NODE-PORT", family), healthCheckNodePort));
}
