/** The size of a cluster. */
export interface ClusterSize {
  readonly services: number;
  /** Number of endpoints of each Service, all in one EndpointSlice. */
  readonly endpoints: number;
}

const CREATED = "2026-11-21T03:16:43Z";

/** Returns the name of Service number `index`. */
export function serviceNameOf(index: number): { readonly namespace: string; readonly name: string } {
  return { namespace: `team-${index % 50}`, name: `service-${index}` };
}

/** Returns the cluster IP of Service number `index`, which must be below 1,048,576. */
export function clusterIPOf(index: number): string {
  return `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

/** Returns the address of an endpoint; another `generation` (0 to 15) changes only the first endpoint. */
export function endpointIPOf(index: number, place: number, generation: number): string {
  if (place === 0 && generation > 0) return `11.${generation}.${(index >> 8) & 255}.${index & 255}`;
  const pod = index * 16 + place;
  return `172.${16 + (pod >> 16)}.${(pod >> 8) & 255}.${pod & 255}`;
}

/**
 * Returns Service number `index` as the API server writes it to a watch, including fields that clients do not need:
 * managedFields, the selector, annotations of `kubectl apply`. About 1.6 KB.
 */
export function serviceJson(index: number, resourceVersion: number): string {
  const { namespace, name } = serviceNameOf(index);
  const ip = clusterIPOf(index);
  const labels = `"app.kubernetes.io/name":"${name}","app.kubernetes.io/part-of":"${namespace}","app.kubernetes.io/managed-by":"Helm"`;
  return (
    `{"kind":"Service","apiVersion":"v1","metadata":{"name":"${name}","namespace":"${namespace}","uid":"${uid(1, index)}",` +
    `"resourceVersion":"${resourceVersion}","creationTimestamp":"${CREATED}","labels":{${labels}},` +
    `"annotations":{"meta.helm.sh/release-name":"${name}","meta.helm.sh/release-namespace":"${namespace}"},` +
    `"managedFields":[{"manager":"helm","operation":"Update","apiVersion":"v1","time":"${CREATED}","fieldsType":"FieldsV1",` +
    `"fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{},"f:meta.helm.sh/release-namespace":{}},` +
    `"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/part-of":{}}},` +
    `"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\\"port\\":80,\\"protocol\\":\\"TCP\\"}":{".":{},"f:name":{},` +
    `"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}}]},` +
    `"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":"http"}],` +
    `"selector":{"app.kubernetes.io/name":"${name}","app.kubernetes.io/part-of":"${namespace}"},"clusterIP":"${ip}",` +
    `"clusterIPs":["${ip}"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],` +
    `"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}}`
  );
}

/**
 * Returns the EndpointSlice of Service number `index` as its controller writes it: about 1.3 KB and 0.3 KB for each
 * endpoint. `changedAt` is the RFC 3339 time of the change that it contains; "" for none.
 */
export function sliceJson(
  index: number,
  endpoints: number,
  resourceVersion: number,
  generation: number,
  changedAt: string,
): string {
  const { namespace, name } = serviceNameOf(index);
  const trigger =
    changedAt === "" ? "" : `"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"${changedAt}"},`;
  let list = "";
  for (let place = 0; place < endpoints; place++) {
    const pod = index * 16 + place;
    const suffix = (pod * 7919 + generation).toString(36).padStart(5, "0").slice(-5);
    list +=
      `${place === 0 ? "" : ","}{"addresses":["${endpointIPOf(index, place, generation)}"],` +
      `"conditions":{"ready":true,"serving":true,"terminating":false},` +
      `"targetRef":{"kind":"Pod","namespace":"${namespace}","name":"${name}-6d4cf56db6-${suffix}","uid":"${uid(3, pod)}"},` +
      `"nodeName":"node-${pod % 1000}.eu-central-1.compute.internal","zone":"eu-central-1${"abc"[pod % 3]}"}`;
  }
  return (
    `{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"${name}-x7k2p","generateName":"${name}-",` +
    `"namespace":"${namespace}","uid":"${uid(2, index)}","resourceVersion":"${resourceVersion}","generation":${1 + generation},` +
    `"creationTimestamp":"${CREATED}","labels":{"app.kubernetes.io/managed-by":"Helm","app.kubernetes.io/name":"${name}",` +
    `"app.kubernetes.io/part-of":"${namespace}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io",` +
    `"kubernetes.io/service-name":"${name}"},${trigger}"ownerReferences":[{"apiVersion":"v1","kind":"Service","name":"${name}",` +
    `"uid":"${uid(1, index)}","controller":true,"blockOwnerDeletion":true}],"managedFields":[{"manager":"kube-controller-manager",` +
    `"operation":"Update","apiVersion":"discovery.k8s.io/v1","time":"${CREATED}","fieldsType":"FieldsV1","fieldsV1":{` +
    `"f:addressType":{},"f:endpoints":{},"f:metadata":{"f:annotations":{".":{},"f:endpoints.kubernetes.io/last-change-trigger-time":{}},` +
    `"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{},` +
    `"f:app.kubernetes.io/part-of":{},"f:endpointslice.kubernetes.io/managed-by":{},"f:kubernetes.io/service-name":{}},` +
    `"f:ownerReferences":{".":{},"k:{\\"uid\\":\\"${uid(1, index)}\\"}":{}}},"f:ports":{}}}]},"addressType":"IPv4",` +
    `"endpoints":[${list}],"ports":[{"name":"http","protocol":"TCP","port":8080}]}`
  );
}

/** Returns the only Node, with this name. */
export function nodeJson(name: string, address: string): string {
  return (
    `{"kind":"Node","apiVersion":"v1","metadata":{"name":"${name}","uid":"${uid(4, 0)}","resourceVersion":"1",` +
    `"labels":{"topology.kubernetes.io/zone":"eu-central-1a"}},"spec":{"podCIDRs":["10.244.0.0/24"]},` +
    `"status":{"addresses":[{"type":"InternalIP","address":"${address}"}]}}`
  );
}

function uid(kind: number, number: number): string {
  const digits = number.toString(16).padStart(12, "0");
  return `${kind}60ccdae-80d3-4833-abaf-${digits}`;
}
