import type { Cidr } from "../model/address.ts";
import type {
  ClusterNode,
  EndpointSlice,
  Service,
  ServiceChoices,
  ServiceCIDR,
  ServicePort,
} from "../model/cluster/service.ts";
import { identical, ignored, type Same, sameFields, sameList, sameOrAbsent, sameValues } from "../model/equality.ts";
import type { Scheduling } from "../model/kernel/scheduler.ts";

const sameNetworks: Same<readonly Cidr[]> = sameList((a, b) => a.text === b.text);

const samePort = sameFields<ServicePort>({
  key: identical,
  protocol: identical,
  port: identical,
  nodePort: identical,
});

const sameScheduling = sameFields<Scheduling>({ scheduler: identical, flags: sameValues });

const sameChoices = sameFields<ServiceChoices>({
  scheduling: sameOrAbsent(sameScheduling),
  onePacket: identical,
  drainTimeoutMs: identical,
});

/** Nothing a proxy reads differs. */
export const sameService: Same<Service> = sameFields<Service>({
  name: identical,
  affinitySeconds: identical,
  internalTrafficPolicy: identical,
  externalTrafficPolicy: identical,
  healthCheckNodePort: identical,
  clusterDNS: identical,
  clusterIPs: sameValues,
  ports: sameList(samePort),
  externalIPs: sameValues,
  loadBalancerIPs: sameValues,
  // No restriction is another thing than one that lets nobody in.
  sourceRanges: sameOrAbsent(sameNetworks),
  choices: sameChoices,
});

/** Nothing a proxy reads differs. */
export const sameSlice: Same<EndpointSlice> = sameFields<EndpointSlice>({
  name: identical,
  service: identical,
  family: identical,
  endpoints: (a, b) => a.equals(b),
  // It is about the change, not about the slice.
  changedAtUnixMs: ignored,
});

/** Nothing a proxy reads differs. */
export const sameNode: Same<ClusterNode> = sameFields<ClusterNode>({
  name: identical,
  zone: identical,
  leaving: identical,
  addresses: sameValues,
  podCIDRs: sameNetworks,
});

/** Nothing a proxy reads differs. */
export const sameServiceCIDR: Same<ServiceCIDR> = sameFields<ServiceCIDR>({
  name: identical,
  networks: sameNetworks,
});
