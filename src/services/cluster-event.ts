import type { Problem } from "../model/cluster/problem.ts";
import type {
  ClusterNode,
  EndpointSlice,
  Service,
  ServiceCIDR,
  ServiceName,
  SliceName,
} from "../model/cluster/service.ts";

export type Resource = "services" | "endpointslices" | "nodes" | "servicecidrs";

/** An event of a source. All sources send the same events, and the receiver does not depend on the kind of source. */
export type ClusterEvent =
  | { readonly kind: "service-upserted"; readonly service: Service }
  | { readonly kind: "service-deleted"; readonly name: ServiceName }
  | { readonly kind: "slice-upserted"; readonly slice: EndpointSlice }
  | { readonly kind: "slice-deleted"; readonly name: SliceName }
  | { readonly kind: "node-upserted"; readonly node: ClusterNode }
  | { readonly kind: "node-deleted"; readonly name: string }
  | { readonly kind: "servicecidr-upserted"; readonly cidr: ServiceCIDR }
  | { readonly kind: "servicecidr-deleted"; readonly name: string }
  /** All objects of the first complete list of a resource were sent. */
  | { readonly kind: "listed"; readonly resource: Resource };

/**
 * An object of the API, reduced to the fields that a proxy uses.
 * - `accepted`: the value contains all valid fields.
 * - `ignored`: a well-formed object that this proxy ignores (headless, served by another proxy, FQDN), as if it were
 *   deleted.
 * - `invalid`: the identity or the structure is invalid; the problems give the reason.
 */
export type Decoded<Name, Value> =
  | { readonly kind: "accepted"; readonly name: Name; readonly value: Value; readonly problems: readonly Problem[] }
  | { readonly kind: "ignored"; readonly name: Name; readonly problems: readonly Problem[] }
  | { readonly kind: "invalid"; readonly problems: readonly Problem[] };
