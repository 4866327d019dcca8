import type { Cidr } from "../model/address.ts";
import type {
  ClusterNode,
  EndpointSlice,
  Service,
  ServiceCIDR,
  ServiceOverrides,
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

const sameOverrides = sameFields<ServiceOverrides>({
  scheduling: sameOrAbsent(sameScheduling),
  onePacket: identical,
  drainTimeoutMs: identical,
});

/** Whether the two are equal in all fields that a proxy uses. */
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
  // An absent restriction admits all clients; an empty one admits none.
  sourceRanges: sameOrAbsent(sameNetworks),
  overrides: sameOverrides,
});

/** Whether the two are equal in all fields that a proxy uses. */
export const sameSlice: Same<EndpointSlice> = sameFields<EndpointSlice>({
  name: identical,
  service: identical,
  family: identical,
  endpoints: (a, b) => a.equals(b),
  // The time belongs to the change, not to the slice.
  changedAtUnixMs: ignored,
});

/** Whether the two are equal in all fields that a proxy uses. */
export const sameNode: Same<ClusterNode> = sameFields<ClusterNode>({
  name: identical,
  zone: identical,
  leaving: identical,
  addresses: sameValues,
  podCIDRs: sameNetworks,
});

/** Whether the two are equal in all fields that a proxy uses. */
export const sameServiceCIDR: Same<ServiceCIDR> = sameFields<ServiceCIDR>({
  name: identical,
  networks: sameNetworks,
});
