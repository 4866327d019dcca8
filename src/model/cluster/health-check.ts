import type { IPAddress } from "../address.ts";
import type { ServiceName } from "./service.ts";

/** What load balancers ask this node about one Service: whether it is worth sending clients here. */
export interface HealthCheck {
  readonly service: ServiceName;
  readonly port: number;
  /**
   * The addresses on which it is asked, an unspecified one for all of its family, and how many pods of that family are
   * ready on this node.
   */
  readonly localEndpoints: ReadonlyMap<IPAddress, number>;
}

/** Load balancers cannot ask about a Service at an address of this node, or at none at all. */
export interface RefusedPort {
  readonly service: ServiceName;
  readonly port: number;
  readonly reason: string;
}
