import { familyOf, type IPFamily } from "../../model/address.ts";
import type { Endpoint, PortKey, Service } from "../../model/cluster/service.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import { only } from "../../model/only.ts";
import type { NodeFacts } from "../../node/node-facts.ts";
import type { EndpointsByPort } from "../../services/endpoints.ts";
import { type EndpointNeeds, mayBeLocal, selectEndpoints } from "../../services/topology.ts";
import { exposedPorts, type Frontend, isOutside } from "./frontends.ts";

/** The endpoints of a frontend, and the clients that it drops. */
export interface SelectedEndpoints {
  readonly reals: RealServers;
  /**
   * The set that drops clients: KUBE-DROP drops all, KUBE-DROP-EXTERNAL drops those from outside; undefined: none is
   * dropped.
   */
  readonly drops: "KUBE-DROP" | "KUBE-DROP-EXTERNAL" | undefined;
}

/** The usable endpoints of one port of a Service in one family. */
interface Usable {
  readonly cluster: RealServers;
  readonly local: RealServers;
  readonly hasAny: boolean;
}

const NONE_USABLE: Usable = { cluster: RealServers.NONE, local: RealServers.NONE, hasAny: false };

/** The endpoints of one port of a Service on this node. */
interface PortEndpoints {
  readonly usable: Readonly<Record<IPFamily, Usable>>;
  /** The endpoints that may be on this node, in any state. */
  readonly here: readonly Endpoint[];
}

/**
 * Selects the endpoints that the traffic policies of a Service allow on this node. Frontends with the same port, family
 * and policy share one selection: it is computed once and stored once.
 */
export class EndpointSelector {
  readonly #service: Service;
  readonly #endpoints: EndpointsByPort;
  readonly #facts: NodeFacts;
  readonly #needs: EndpointNeeds;
  readonly #ports = new Map<PortKey, PortEndpoints>();
  #readEndpoints = 0;
  #local = 0;

  constructor(service: Service, endpoints: EndpointsByPort, facts: NodeFacts) {
    this.#service = service;
    this.#endpoints = endpoints;
    this.#facts = facts;
    const { internalTrafficPolicy: internal, externalTrafficPolicy: external } = service;
    // An exposed Service always needs the endpoints of the whole cluster, because its policy Local does not apply to
    // clients on this node.
    const exposed = exposedPorts(service).length > 0;
    this.#needs = {
      cluster: internal === "Cluster" || exposed,
      local: internal === "Local" || (external === "Local" && exposed),
    };
  }

  /**
   * Returns the endpoints of the frontend. With policy Cluster these are all endpoints, with policy Local the local
   * ones. If policy Local applies and all endpoints are on other nodes:
   * - a cluster IP has no endpoints and drops all clients.
   * - every other frontend drops clients from outside, and clients on this node reach all endpoints.
   *
   * If there are no endpoints at all, there are no real servers, and the kernel refuses connections.
   */
  select(frontend: Frontend): SelectedEndpoints {
    const { cluster, local, hasAny } = this.#usable(frontend.portKey, familyOf(frontend.address));
    const { internalTrafficPolicy, externalTrafficPolicy } = this.#service;
    const policy = isOutside(frontend) ? externalTrafficPolicy : internalTrafficPolicy;
    if (policy === "Cluster") return { reals: cluster, drops: undefined };
    if (local.size > 0 || !hasAny) return { reals: local, drops: undefined };
    if (isOutside(frontend)) return { reals: cluster, drops: "KUBE-DROP-EXTERNAL" };
    return { reals: RealServers.NONE, drops: "KUBE-DROP" };
  }

  /** The endpoints for clients on this node, which do not depend on the external policy. */
  forThisNode(portKey: PortKey, family: IPFamily): RealServers {
    return this.#usable(portKey, family).cluster;
  }

  /** The number of endpoints that were read so far, counted for each port. */
  get readEndpoints(): number {
    return this.#readEndpoints;
  }

  /** The number of endpoints that will have been read after the port is read. */
  readEndpointsWith(portKey: PortKey): number {
    return this.#readEndpoints + (this.#ports.has(portKey) ? 0 : this.#endpoints.listed(portKey));
  }

  /** The number of read endpoints that may be on this node. */
  get local(): number {
    return this.#local;
  }

  /** For each port that was read: its endpoints that may be on this node, in any state. */
  *here(): Generator<readonly [PortKey, readonly Endpoint[]]> {
    for (const [portKey, { here }] of this.#ports) yield [portKey, here];
  }

  #usable(portKey: PortKey, family: IPFamily): Usable {
    let port = this.#ports.get(portKey);
    if (port === undefined) {
      port = this.#read(portKey);
      this.#ports.set(portKey, port);
    }
    return port.usable[family];
  }

  /**
   * Reads the endpoints of a port, once: `get` builds a new list on each call, and a port may have 10,000 endpoints.
   */
  #read(portKey: PortKey): PortEndpoints {
    this.#readEndpoints += this.#endpoints.listed(portKey);
    const endpoints = this.#endpoints.get(portKey);
    const here = endpoints.filter((endpoint) => mayBeLocal(endpoint, this.#facts));
    this.#local += here.length;
    return { usable: { IPv4: this.#usableOf(endpoints, "IPv4"), IPv6: this.#usableOf(endpoints, "IPv6") }, here };
  }

  #usableOf(all: readonly Endpoint[], family: IPFamily): Usable {
    const endpoints = only(all, ({ address }) => familyOf(address) === family);
    if (endpoints.length === 0) return NONE_USABLE;
    const { cluster = [], local = [], hasAny } = selectEndpoints(endpoints, this.#needs, this.#facts);
    return { cluster: RealServers.of(cluster), local: RealServers.of(local), hasAny };
  }
}
