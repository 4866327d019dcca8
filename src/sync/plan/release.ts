import { familyOf, type IPFamily } from "../../model/address.ts";
import { addressPortKeys, type IPSet, ipset, ipsets } from "../../model/kernel/ipset.ts";
import type { VirtualServer } from "../../model/kernel/ipvs.ts";
import type { Desired } from "../desired.ts";
import type { OwnershipEvidence } from "./ownership.ts";

/**
 * How long connections keep an external address on kube-ipvs0 that no Service needs. Together with the time between two
 * counts of connections, the address is removed within 30 s.
 */
const RELEASE_MS = 25_000;

/** The sets of frontends on external addresses, and the set of frontends on cluster IPs. */
const SETS = { IPv4: frontendSets("IPv4"), IPv6: frontendSets("IPv6") };

function frontendSets(family: IPFamily): { readonly external: readonly IPSet[]; readonly cluster: readonly IPSet[] } {
  const external = ipsets(family).filter(({ role }) => role === "external-frontend");
  return { external, cluster: [ipset("KUBE-CLUSTER-IP", family)] };
}

/**
 * Returns the limit, in ms, of how long the real servers of an unwanted virtual server may drain because of its address;
 * undefined: no limit. A ClusterIP belongs to its Service alone and has no limit. An external address may belong to another
 * host a second later: as long as it is on kube-ipvs0, this node and its pods cannot reach the new owner, and the node answers
 * ARP requests for it. Its last connections therefore end with the address.
 */
export function releaseLimitMs(
  server: VirtualServer,
  desired: Pick<Desired, "hasAddress">,
  actual: OwnershipEvidence,
): number | undefined {
  const { address } = server;
  if (server.mark !== 0 || !actual.hasAddress(address) || desired.hasAddress(address)) return undefined;
  const { external, cluster } = SETS[familyOf(address)];
  return isMember(external, server, actual) && !isMember(cluster, server, actual) ? RELEASE_MS : undefined;
}

function isMember(
  sets: readonly IPSet[],
  { address, protocol, port }: VirtualServer,
  actual: OwnershipEvidence,
): boolean {
  return addressPortKeys(sets, address, protocol, port).some((key) => actual.hasEntry(key));
}
