import { FAMILIES, familyOf, type IPAddress, type IPFamily } from "../../model/address.ts";
import type { HealthCheck } from "../../model/cluster/health-check.ts";
import type { Service, ServiceName } from "../../model/cluster/service.ts";
import { identical, sameFields, sameMap, sameOrAbsent } from "../../model/equality.ts";
import type { NodeFacts } from "../../node/node-facts.ts";
import type { EndpointsByPort } from "../../services/endpoints.ts";
import { isLocal } from "../../services/topology.ts";

/** The health checks of all computed Services that have one. */
export class HealthChecks {
  readonly #checks = new Map<ServiceName, HealthCheck>();
  #changed = false;

  /** Replaces the health check of one Service; undefined: it has none. */
  replace(service: ServiceName, check: HealthCheck | undefined): void {
    const before = this.#checks.get(service);
    if (sameCheck(before, check)) return;
    this.#changed = true;
    if (check === undefined) this.#checks.delete(service);
    else this.#checks.set(service, check);
  }

  /** Returns all health checks if any has changed since the last call. */
  takeChanged(): ReadonlyMap<ServiceName, HealthCheck> | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return new Map(this.#checks);
  }
}

const sameCheck = sameOrAbsent(
  sameFields<HealthCheck>({ service: identical, port: identical, localEndpoints: sameMap(identical) }),
);

/** Returns the health check of the Service on this node; undefined if it has no health check node port. */
export function healthCheck(service: Service, endpoints: EndpointsByPort, facts: NodeFacts): HealthCheck | undefined {
  if (service.healthCheckNodePort === 0) return undefined;
  const families = new Set(service.clusterIPs.map(familyOf));
  const ready = new Set(
    endpoints
      .pods()
      .filter((endpoint) => endpoint.ready && isLocal(endpoint, facts))
      .map(({ address }) => address),
  );
  const counts = new Map(FAMILIES.map((family) => [family, countOf(ready, family)]));
  const addresses = facts.healthCheckAddresses.filter((address) => families.has(familyOf(address)));
  const localEndpoints = new Map(addresses.map((address) => [address, counts.get(familyOf(address)) ?? 0]));
  return { service: service.name, port: service.healthCheckNodePort, localEndpoints };
}

function countOf(addresses: Iterable<IPAddress>, family: IPFamily): number {
  return [...addresses].filter((address) => familyOf(address) === family).length;
}
