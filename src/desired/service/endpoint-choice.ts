import { familyOf, type IPFamily } from "../../model/address.ts";
import type { Endpoint, PortKey, Service } from "../../model/cluster/service.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import { only } from "../../model/only.ts";
import type { NodeFacts } from "../../node/node-facts.ts";
import type { EndpointsByPort } from "../../services/endpoints.ts";
import { type EndpointNeeds, mayBeLocal, selectEndpoints } from "../../services/topology.ts";
import { exposedPorts, type Frontend, isOutside } from "./frontends.ts";

/** Which endpoints a frontend is given, and which of its clients it drops. */
export interface Choice {
  readonly reals: RealServers;
  /** The set by which clients are dropped: KUBE-DROP all, KUBE-DROP-EXTERNAL those from outside; undefined none. */
  readonly drops: "KUBE-DROP" | "KUBE-DROP-EXTERNAL" | undefined;
}

/** What one port of a Service may use in one family. */
interface Usable {
  readonly cluster: RealServers;
  readonly local: RealServers;
  readonly hasAny: boolean;
}

const NONE_USABLE: Usable = { cluster: RealServers.NONE, local: RealServers.NONE, hasAny: false };

/** The endpoints of one port of a Service, as far as this node needs to know them. */
interface PortEndpoints {
  readonly usable: Readonly<Record<IPFamily, Usable>>;
  /** Those that may be on this node, in any state. */
  readonly here: readonly Endpoint[];
}

/**
 * The endpoints that the traffic policies of a Service allow on this node. Frontends of one port, family and policy share
 * them: computed once, held once.
 */
export class EndpointChoices {
  readonly #service: Service;
  readonly #endpoints: EndpointsByPort;
  readonly #facts: NodeFacts;
  readonly #needs: EndpointNeeds;
  readonly #ports = new Map<PortKey, PortEndpoints>();
  #looked = 0;
  #local = 0;

  constructor(service: Service, endpoints: EndpointsByPort, facts: NodeFacts) {
    this.#service = service;
    this.#endpoints = endpoints;
    this.#facts = facts;
    const { internalTrafficPolicy: internal, externalTrafficPolicy: external } = service;
    // An exposed Service needs those of the whole cluster in any case: its local policy is not for clients of this node.
    const exposed = exposedPorts(service).length > 0;
    this.#needs = {
      cluster: internal === "Cluster" || exposed,
      local: internal === "Local" || (external === "Local" && exposed),
    };
  }

  /**
   * Policy Cluster takes any endpoint. Local takes the local ones, and where there is none though others are elsewhere:
   * - for clients inside (a cluster IP) nothing, and whoever comes is dropped;
   * - for clients outside they are dropped as well, while the clients of this node get any endpoint.
   * Without an endpoint anywhere there are no real servers, and the kernel refuses.
   */
  of(frontend: Frontend): Choice {
    const { cluster, local, hasAny } = this.#usable(frontend.portKey, familyOf(frontend.address));
    const { internalTrafficPolicy, externalTrafficPolicy } = this.#service;
    const policy = isOutside(frontend) ? externalTrafficPolicy : internalTrafficPolicy;
    if (policy === "Cluster") return { reals: cluster, drops: undefined };
    if (local.size > 0 || !hasAny) return { reals: local, drops: undefined };
    if (isOutside(frontend)) return { reals: cluster, drops: "KUBE-DROP-EXTERNAL" };
    return { reals: RealServers.NONE, drops: "KUBE-DROP" };
  }

  /** What the clients of this node get, whatever the external policy. */
  forThisNode(portKey: PortKey, family: IPFamily): RealServers {
    return this.#usable(portKey, family).cluster;
  }

  /** How many endpoints were looked at so far, those of each port counted. */
  get looked(): number {
    return this.#looked;
  }

  /** How many endpoints will have been looked at once the port was asked for. */
  lookedWith(portKey: PortKey): number {
    return this.#looked + (this.#ports.has(portKey) ? 0 : this.#endpoints.listed(portKey));
  }

  /** How many of those that were looked at may be on this node. */
  get local(): number {
    return this.#local;
  }

  /** For each port that was asked for its endpoints that may be on this node, whatever their state. */
  *here(): Generator<readonly [PortKey, readonly Endpoint[]]> {
    for (const [portKey, { here }] of this.#ports) yield [portKey, here];
  }

  #usable(portKey: PortKey, family: IPFamily): Usable {
    let port = this.#ports.get(portKey);
    if (port === undefined) {
      port = this.#look(portKey);
      this.#ports.set(portKey, port);
    }
    return port.usable[family];
  }

  /** Once for each port: they are made anew for whoever asks, and a port may have 10,000. */
  #look(portKey: PortKey): PortEndpoints {
    this.#looked += this.#endpoints.listed(portKey);
    const endpoints = this.#endpoints.get(portKey);
    const here = endpoints.filter((endpoint) => mayBeLocal(endpoint, this.#facts));
    this.#local += here.length;
    return { usable: { IPv4: this.#select(endpoints, "IPv4"), IPv6: this.#select(endpoints, "IPv6") }, here };
  }

  #select(all: readonly Endpoint[], family: IPFamily): Usable {
    const endpoints = only(all, ({ address }) => familyOf(address) === family);
    if (endpoints.length === 0) return NONE_USABLE;
    const { cluster = [], local = [], hasAny } = selectEndpoints(endpoints, this.#needs, this.#facts);
    return { cluster: RealServers.of(cluster), local: RealServers.of(local), hasAny };
  }
}
