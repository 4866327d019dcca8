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

/** What a source of truth tells. Every source speaks this; nothing downstream knows which one it was. */
export type ClusterEvent =
  | { readonly kind: "service-upserted"; readonly service: Service }
  | { readonly kind: "service-deleted"; readonly name: ServiceName }
  | { readonly kind: "slice-upserted"; readonly slice: EndpointSlice }
  | { readonly kind: "slice-deleted"; readonly name: SliceName }
  | { readonly kind: "node-upserted"; readonly node: ClusterNode }
  | { readonly kind: "node-deleted"; readonly name: string }
  | { readonly kind: "servicecidr-upserted"; readonly cidr: ServiceCIDR }
  | { readonly kind: "servicecidr-deleted"; readonly name: string }
  /** The first complete list of a resource has been told. */
  | { readonly kind: "listed"; readonly resource: Resource };

/**
 * One object of the API, reduced to what a proxy reads.
 * - `wanted`: use the value; it holds all that was good.
 * - `unwanted`: a well-formed object that asks nothing of this proxy (headless, another proxy's, FQDN): as if deleted.
 * - `broken`: not even its identity or shape can be used; the problems say why.
 */
export type Decoded<Name, Value> =
  | { readonly kind: "wanted"; readonly name: Name; readonly value: Value; readonly problems: readonly Problem[] }
  | { readonly kind: "unwanted"; readonly name: Name; readonly problems: readonly Problem[] }
  | { readonly kind: "broken"; readonly problems: readonly Problem[] };
