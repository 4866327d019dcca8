import { familyOf, type IPFamily } from "../model/address.ts";
import { only } from "../model/only.ts";
import { RealServers } from "../model/real-servers.ts";
import type { Endpoint, PortKey, Service } from "../model/service.ts";
import { type EndpointNeeds, selectEndpoints } from "../services/topology.ts";
import { exposedPorts, type Frontend, isOutside } from "./frontends.ts";
import type { NodeFacts } from "./node-facts.ts";

/** Which endpoints a frontend is given, and which of its clients it drops. */
export interface Choice {
  readonly reals: RealServers;
  /** The set by which clients are dropped: KUBE-DROP all, KUBE-DROP-EXTERNAL those from outside; undefined none. */
  readonly drops: "KUBE-DROP" | "KUBE-DROP-EXTERNAL" | undefined;
}

/** What one port of a Service may use in one family. */
interface Usable {
  readonly portKey: PortKey;
  readonly family: IPFamily;
  readonly cluster: RealServers;
  readonly local: RealServers;
  readonly hasAny: boolean;
}

/**
 * The endpoints that the traffic policies of a Service allow on this node. Frontends of one port, family and policy share
 * them: computed once, held once.
 */
export class EndpointChoices {
  readonly #service: Service;
  readonly #endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>;
  readonly #facts: NodeFacts;
  readonly #needs: EndpointNeeds;
  readonly #known: Usable[] = [];

  constructor(service: Service, endpoints: ReadonlyMap<PortKey, readonly Endpoint[]>, facts: NodeFacts) {
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

  #usable(portKey: PortKey, family: IPFamily): Usable {
    const known = this.#known.find((one) => one.portKey === portKey && one.family === family);
    if (known !== undefined) return known;
    const selected = this.#select(portKey, family);
    this.#known.push(selected);
    return selected;
  }

  #select(portKey: PortKey, family: IPFamily): Usable {
    const endpoints = only(this.#endpoints.get(portKey) ?? [], ({ address }) => familyOf(address) === family);
    const { cluster = [], local = [], hasAny } = selectEndpoints(endpoints, this.#needs, this.#facts);
    return { portKey, family, cluster: RealServers.of(cluster), local: RealServers.of(local), hasAny };
  }
}
