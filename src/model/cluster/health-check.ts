import type { IPAddress } from "../address.ts";
import type { ServiceName } from "./service.ts";

/** The health check of one Service: load balancers request it to see whether this node has ready endpoints. */
export interface HealthCheck {
  readonly service: ServiceName;
  readonly port: number;
  /**
   * The addresses on which the check is served, where an unspecified address means all of its family, and the number of
   * ready pods of that family on this node.
   */
  readonly localEndpoints: ReadonlyMap<IPAddress, number>;
}

/** A health check that cannot be served at an address of this node, or at any address. */
export interface RefusedPort {
  readonly service: ServiceName;
  readonly port: number;
  readonly reason: string;
}
