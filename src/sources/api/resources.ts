import type { ObjectKind } from "../../model/cluster/object-reference.ts";
import type {
  ClusterNode,
  EndpointSlice,
  Service,
  ServiceCIDR,
  ServiceName,
  SliceName,
} from "../../model/cluster/service.ts";
import { serviceName, sliceName } from "../../model/cluster/service.ts";
import { TextTable } from "../../model/text-table.ts";
import type { ClusterEvent, Decoded, Resource } from "../../services/cluster-event.ts";
import { decodeNode } from "../decode/decode-node.ts";
import { decodeService } from "../decode/decode-service.ts";
import { decodeServiceCIDR } from "../decode/decode-service-cidr.ts";
import { decodeEndpointSlice } from "../decode/decode-slice.ts";
import { PortLists } from "../decode/port-lists.ts";

/** One resource of the API as a reflector needs it. Selectors as kube-proxy 1.36 has them: the rest never comes here. */
export interface WatchedResource<Name extends string, Value> {
  readonly resource: Resource;
  /** The kind of its objects. */
  readonly kind: ObjectKind;
  readonly path: string;
  /** "" for none. */
  readonly labelSelector: string;
  /** "" for none. */
  readonly fieldSelector: string;
  /** Decoding leaves out the same objects, so a server that does not know the field can do without. */
  readonly fieldSelectorOptional: boolean;
  /** Old servers answer 404 for it. Then there is none, and it is asked for again now and then. */
  readonly optional: boolean;
  nameOf(namespace: string, name: string): Name;
  decode(object: unknown): Decoded<Name, Value>;
  upserted(value: Value): ClusterEvent;
  deleted(name: Name): ClusterEvent;
}

/** All Services but headless ones and those of other proxies. */
export function watchedServices(): WatchedResource<ServiceName, Service> {
  const lists = new PortLists();
  return {
    resource: "services",
    kind: "Service",
    path: "/api/v1/services",
    labelSelector: "!service.kubernetes.io/service-proxy-name",
    fieldSelector: "spec.clusterIP!=None",
    fieldSelectorOptional: true,
    optional: false,
    nameOf: serviceName,
    decode: (object) => decodeService(object, lists),
    upserted: (service) => ({ kind: "service-upserted", service }),
    deleted: (name) => ({ kind: "service-deleted", name }),
  };
}

/** All EndpointSlices but those of headless Services. */
export function watchedSlices(): WatchedResource<SliceName, EndpointSlice> {
  let texts = new TextTable();
  return {
    resource: "endpointslices",
    kind: "EndpointSlice",
    path: "/apis/discovery.k8s.io/v1/endpointslices",
    labelSelector: "!service.kubernetes.io/headless",
    fieldSelector: "",
    fieldSelectorOptional: false,
    optional: false,
    nameOf: sliceName,
    decode: (object) => {
      texts = texts.orNext();
      return decodeEndpointSlice(object, texts);
    },
    upserted: (slice) => ({ kind: "slice-upserted", slice }),
    deleted: (name) => ({ kind: "slice-deleted", name }),
  };
}

/** The one Node of this name. */
export function watchedNode(nodeName: string): WatchedResource<string, ClusterNode> {
  return {
    resource: "nodes",
    kind: "Node",
    path: "/api/v1/nodes",
    labelSelector: "",
    fieldSelector: `metadata.name=${nodeName}`,
    fieldSelectorOptional: false,
    optional: false,
    nameOf: (_namespace, name) => name,
    decode: decodeNode,
    upserted: (node) => ({ kind: "node-upserted", node }),
    deleted: (name) => ({ kind: "node-deleted", name }),
  };
}

/** All ServiceCIDRs; a resource since Kubernetes 1.31, in v1 since 1.33. */
export function watchedServiceCIDRs(): WatchedResource<string, ServiceCIDR> {
  return {
    resource: "servicecidrs",
    kind: "ServiceCIDR",
    path: "/apis/networking.k8s.io/v1/servicecidrs",
    labelSelector: "",
    fieldSelector: "",
    fieldSelectorOptional: false,
    optional: true,
    nameOf: (_namespace, name) => name,
    decode: decodeServiceCIDR,
    upserted: (cidr) => ({ kind: "servicecidr-upserted", cidr }),
    deleted: (name) => ({ kind: "servicecidr-deleted", name }),
  };
}
