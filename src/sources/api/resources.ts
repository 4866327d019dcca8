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

/** The properties of a resource that a reflector needs. The selectors are the same as in kube-proxy 1.36. */
export interface WatchedResource<Name extends string, Value> {
  readonly resource: Resource;
  /** The kind of its objects. */
  readonly kind: ObjectKind;
  readonly path: string;
  /** "" for none. */
  readonly labelSelector: string;
  /** "" for none. */
  readonly fieldSelector: string;
  /** Whether the decoder leaves out the same objects, so that the selector is not needed with a server that lacks it. */
  readonly fieldSelectorOptional: boolean;
  /** Whether a server may respond with 404. Then the resource counts as empty, and it is requested again later. */
  readonly optional: boolean;
  nameOf(namespace: string, name: string): Name;
  decode(object: unknown): Decoded<Name, Value>;
  upserted(value: Value): ClusterEvent;
  deleted(name: Name): ClusterEvent;
}

/** The resource of all Services except headless Services and Services of other proxies. */
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

/** The resource of all EndpointSlices except those of headless Services. */
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

/** The resource of the Node with this name. */
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

/** The resource of all ServiceCIDRs. It exists since Kubernetes 1.31, in v1 since 1.33. */
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
