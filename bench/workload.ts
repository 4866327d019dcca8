import type { IPAddress } from "../src/model/address.ts";
import {
  type EndpointSlice,
  NO_OVERRIDES,
  portKey,
  type Service,
  serviceName,
  sliceName,
} from "../src/model/cluster/service.ts";
import { type Backend, SliceEndpoints } from "../src/model/cluster/slice-endpoints.ts";
import { TextTable } from "../src/model/text-table.ts";
import type { ClusterEvent } from "../src/services/cluster-event.ts";

const HTTP = portKey("http", "TCP");
/** The text table of all slices, as a source has it. */
const NAMES = new TextTable();

/** Returns Service number `index` of a cluster of ordinary Services: one TCP port, no NodePort. */
export function service(index: number): Service {
  return {
    name: serviceName(`team-${index % 50}`, `service-${index}`),
    clusterIPs: [`10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}` as IPAddress],
    ports: [{ key: HTTP, protocol: "TCP", port: 80, nodePort: 0 }],
    affinitySeconds: 0,
    internalTrafficPolicy: "Cluster",
    externalTrafficPolicy: "Cluster",
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRanges: undefined,
    healthCheckNodePort: 0,
    clusterDNS: false,
    overrides: NO_OVERRIDES,
  };
}

/** Returns the slice of that Service with up to 16 endpoints; another `generation` replaces only the first endpoint. */
export function slice(index: number, endpoints: number, generation = 0): EndpointSlice {
  const { name } = service(index);
  const list = Array.from({ length: endpoints }, (_, place) => endpoint(index, place === 0 ? generation : 0, place));
  return {
    name: sliceName(name.split("/")[0] ?? "", `service-${index}-1`),
    service: name,
    family: "IPv4",
    endpoints: new SliceEndpoints(new Map([[HTTP, 8080]]), list, NAMES),
    changedAtUnixMs: 0,
  };
}

function endpoint(index: number, generation: number, place: number): Backend {
  const pod = `172.${generation === 0 ? 16 + place : 32 + generation}.${index >> 8}.${index & 255}`;
  return {
    address: pod as IPAddress,
    ready: true,
    serving: true,
    terminating: false,
    nodeName: `node-${index % 100}`,
    zoneHints: [],
    nodeHints: [],
    weight: 1,
  };
}

/** Yields the events of a whole cluster, as a source reports them at the start. */
export function* cluster(services: number, endpoints: number): Generator<ClusterEvent> {
  for (let index = 0; index < services; index += 1) yield { kind: "service-upserted", service: service(index) };
  yield { kind: "listed", resource: "services" };
  for (let index = 0; index < services; index += 1) yield { kind: "slice-upserted", slice: slice(index, endpoints) };
  yield { kind: "listed", resource: "endpointslices" };
}
