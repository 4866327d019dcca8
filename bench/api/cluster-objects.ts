import type { Size } from "../report/size.ts";

export type ClusterSize = Pick<Size, "services" | "endpoints"> & Partial<Pick<Size, "ports">>;

/** One port of a Service, and the port of its pods. */
export interface ClusterPort {
  readonly name: string;
  readonly protocol: "TCP" | "UDP";
  readonly port: number;
  readonly targetPort: number;
}

const CREATED = "2026-11-21T03:16:43Z";
/** Pods that a change adds have numbers from here on, and addresses in 11.0.0.0/8. */
export const FIRST_NEW_POD = 1 << 20;
/** Smaller clusters have no Services that others wait for. */
const LEAST_WITH_ESSENTIAL = 10;
const KUBE_DNS: readonly ClusterPort[] = [
  { name: "dns", protocol: "UDP", port: 53, targetPort: 53 },
  { name: "dns-tcp", protocol: "TCP", port: 53, targetPort: 53 },
];
const KUBERNETES: readonly ClusterPort[] = [{ name: "https", protocol: "TCP", port: 443, targetPort: 6443 }];
const USUAL: readonly ClusterPort[] = [{ name: "http", protocol: "TCP", port: 80, targetPort: 8080 }];

/**
 * The numbers of default/kubernetes and kube-system/kube-dns. They are in the middle of every list, because the API server
 * sorts by namespace, so that a proxy that programs in that order has them after half of its work.
 */
export function essentialOf({ services, ports = 1 }: ClusterSize): readonly number[] {
  return services < LEAST_WITH_ESSENTIAL || ports > 1 ? [] : [services >> 1, (services >> 1) + 1];
}

/** Returns the name of Service number `index`. */
export function serviceNameOf(size: ClusterSize, index: number): { readonly namespace: string; readonly name: string } {
  const [kubernetes, dns] = essentialOf(size);
  if (index === kubernetes) return { namespace: "default", name: "kubernetes" };
  if (index === dns) return { namespace: "kube-system", name: "kube-dns" };
  return { namespace: `team-${index % 50}`, name: `service-${index}` };
}

export function portsOf(size: ClusterSize, index: number): readonly ClusterPort[] {
  const { ports = 1 } = size;
  const [kubernetes, dns] = essentialOf(size);
  if (index === kubernetes) return KUBERNETES;
  if (index === dns) return KUBE_DNS;
  if (ports === 1) return USUAL;
  return Array.from({ length: ports }, (_, port) => ({
    name: `p${port}`,
    protocol: "TCP",
    port: 1000 + port,
    targetPort: 20_000 + port,
  }));
}

/** Returns the cluster IP of Service number `index`, which must be below 1,048,576. */
export function clusterIPOf(index: number): string {
  return `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

/** Returns the address of pod number `pod`. */
export function podIPOf(pod: number): string {
  const low = `${(pod >> 8) & 255}.${pod & 255}`;
  if (pod < FIRST_NEW_POD) return `172.${16 + (pod >> 16)}.${low}`;
  return `11.${((pod - FIRST_NEW_POD) >> 16) & 255}.${low}`;
}

/** About so many pods run on a node. */
const PODS_PER_NODE = 100;
const MOST_NODES = 1000;

/** Number of the node on which a pod runs. The pods of a Service run on different nodes. */
export function nodeOf({ services, endpoints }: ClusterSize, pod: number): number {
  return pod % Math.min(MOST_NODES, Math.max(1, Math.ceil((services * endpoints) / PODS_PER_NODE)));
}

/**
 * Returns Service number `index` as the API server writes it to a watch, including fields that clients do not need:
 * managedFields, the selector, annotations of `kubectl apply`. About 1.6 KB.
 */
export function serviceJson(size: ClusterSize, index: number, resourceVersion: number): string {
  const { namespace, name } = serviceNameOf(size, index);
  const ip = clusterIPOf(index);
  const dns = name === "kube-dns" ? `"k8s-app":"kube-dns",` : "";
  const labels = `${dns}"app.kubernetes.io/name":"${name}","app.kubernetes.io/part-of":"${namespace}","app.kubernetes.io/managed-by":"Helm"`;
  const ports = portsOf(size, index).map(
    ({ name: portName, protocol, port }) =>
      `{"name":"${portName}","protocol":"${protocol}","port":${port},"targetPort":"${portName}"}`,
  );
  return (
    `{"kind":"Service","apiVersion":"v1","metadata":{"name":"${name}","namespace":"${namespace}","uid":"${uid(1, index)}",` +
    `"resourceVersion":"${resourceVersion}","creationTimestamp":"${CREATED}","labels":{${labels}},` +
    `"annotations":{"meta.helm.sh/release-name":"${name}","meta.helm.sh/release-namespace":"${namespace}"},` +
    `"managedFields":[{"manager":"helm","operation":"Update","apiVersion":"v1","time":"${CREATED}","fieldsType":"FieldsV1",` +
    `"fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{},"f:meta.helm.sh/release-namespace":{}},` +
    `"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/part-of":{}}},` +
    `"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\\"port\\":80,\\"protocol\\":\\"TCP\\"}":{".":{},"f:name":{},` +
    `"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}}]},` +
    `"spec":{"ports":[${ports.join(",")}],` +
    `"selector":{"app.kubernetes.io/name":"${name}","app.kubernetes.io/part-of":"${namespace}"},"clusterIP":"${ip}",` +
    `"clusterIPs":["${ip}"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],` +
    `"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}}`
  );
}

/** One EndpointSlice of a Service. */
export interface SliceState {
  readonly index: number;
  /** Number of the slice within the Service. */
  readonly chunk: number;
  readonly pods: readonly number[];
  readonly resourceVersion: number;
  readonly generation: number;
  /** RFC 3339 time of the change that it contains; "" for none. */
  readonly changedAt: string;
}

/** Returns an EndpointSlice as its controller writes it: about 1.3 KB and 0.3 KB for each endpoint. */
export function sliceJson(size: ClusterSize, { index, chunk, pods, resourceVersion, ...slice }: SliceState): string {
  const { namespace, name } = serviceNameOf(size, index);
  const trigger =
    slice.changedAt === ""
      ? ""
      : `"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"${slice.changedAt}"},`;
  let list = "";
  for (const pod of pods) {
    const suffix = (pod * 7919).toString(36).padStart(5, "0").slice(-5);
    list +=
      `${list === "" ? "" : ","}{"addresses":["${podIPOf(pod)}"],` +
      `"conditions":{"ready":true,"serving":true,"terminating":false},` +
      `"targetRef":{"kind":"Pod","namespace":"${namespace}","name":"${name}-6d4cf56db6-${suffix}","uid":"${uid(3, pod)}"},` +
      `"nodeName":"node-${nodeOf(size, pod)}.eu-central-1.compute.internal","zone":"eu-central-1${"abc"[pod % 3]}"}`;
  }
  const ports = portsOf(size, index).map(
    (port) => `{"name":"${port.name}","protocol":"${port.protocol}","port":${port.targetPort}}`,
  );
  return (
    `{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"${name}-x7k${chunk}p","generateName":"${name}-",` +
    `"namespace":"${namespace}","uid":"${uid(2, index * 100 + chunk)}","resourceVersion":"${resourceVersion}","generation":${slice.generation},` +
    `"creationTimestamp":"${CREATED}","labels":{"app.kubernetes.io/managed-by":"Helm","app.kubernetes.io/name":"${name}",` +
    `"app.kubernetes.io/part-of":"${namespace}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io",` +
    `"kubernetes.io/service-name":"${name}"},${trigger}"ownerReferences":[{"apiVersion":"v1","kind":"Service","name":"${name}",` +
    `"uid":"${uid(1, index)}","controller":true,"blockOwnerDeletion":true}],"managedFields":[{"manager":"kube-controller-manager",` +
    `"operation":"Update","apiVersion":"discovery.k8s.io/v1","time":"${CREATED}","fieldsType":"FieldsV1","fieldsV1":{` +
    `"f:addressType":{},"f:endpoints":{},"f:metadata":{"f:annotations":{".":{},"f:endpoints.kubernetes.io/last-change-trigger-time":{}},` +
    `"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{},` +
    `"f:app.kubernetes.io/part-of":{},"f:endpointslice.kubernetes.io/managed-by":{},"f:kubernetes.io/service-name":{}},` +
    `"f:ownerReferences":{".":{},"k:{\\"uid\\":\\"${uid(1, index)}\\"}":{}}},"f:ports":{}}}]},"addressType":"IPv4",` +
    `"endpoints":[${list}],"ports":[${ports.join(",")}]}`
  );
}

/** Returns the only Node, with this name. */
export function nodeJson(name: string, address: string): string {
  return (
    `{"kind":"Node","apiVersion":"v1","metadata":{"name":"${name}","uid":"${uid(4, 0)}","resourceVersion":"1",` +
    `"labels":{"topology.kubernetes.io/zone":"eu-central-1a"}},"spec":{"podCIDR":"10.244.0.0/24","podCIDRs":["10.244.0.0/24"]},` +
    `"status":{"addresses":[{"type":"InternalIP","address":"${address}"}]}}`
  );
}

function uid(kind: number, number: number): string {
  const digits = number.toString(16).padStart(12, "0");
  return `${kind}60ccdae-80d3-4833-abaf-${digits}`;
}
