/**
 * Runs client-node's informers of Services and EndpointSlices, each into a Map: `node informer-subject.mjs KUBECONFIG`.
 */
import {
  CoreV1Api,
  DiscoveryV1Api,
  KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
  type V1EndpointSlice,
  type V1Service,
} from "@kubernetes/client-node";
import { runSubject } from "./subject.ts";

function informed<Kind extends KubernetesObject>(
  config: KubeConfig,
  path: string,
  list: () => Promise<KubernetesListObject<Kind>>,
  selector: string,
): { readonly objects: ReadonlyMap<string, Kind>; readonly started: Promise<void> } {
  const objects = new Map<string, Kind>();
  const nameOf = ({ metadata }: Kind) => `${metadata?.namespace}/${metadata?.name}`;
  const informer = makeInformer(config, path, list, selector);
  informer.on("add", (object) => void objects.set(nameOf(object), object));
  informer.on("update", (object) => void objects.set(nameOf(object), object));
  informer.on("delete", (object) => void objects.delete(nameOf(object)));
  informer.on("error", (error) => {
    throw error;
  });
  return { objects, started: informer.start() };
}

await runSubject(async (kubeconfig, complete) => {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const discovery = config.makeApiClient(DiscoveryV1Api);
  const otherProxy = "!service.kubernetes.io/service-proxy-name";
  const headless = "!service.kubernetes.io/headless";
  const services = informed<V1Service>(
    config,
    "/api/v1/services",
    () => core.listServiceForAllNamespaces({ labelSelector: otherProxy }),
    otherProxy,
  );
  const slices = informed<V1EndpointSlice>(
    config,
    "/apis/discovery.k8s.io/v1/endpointslices",
    () => discovery.listEndpointSliceForAllNamespaces({ labelSelector: headless }),
    headless,
  );
  void Promise.all([services.started, slices.started]).then(complete);
  return () => ({
    services: services.objects.size,
    endpoints: [...slices.objects.values()].reduce((sum, slice) => sum + (slice.endpoints?.length ?? 0), 0),
  });
});
