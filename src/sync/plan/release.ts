import { familyOf, type IPFamily } from "../../model/address.ts";
import { addressPortKeys, type IPSet, ipset, ipsets } from "../../model/kernel/ipset.ts";
import type { VirtualServer } from "../../model/kernel/ipvs.ts";
import type { Desired } from "../desired.ts";
import type { OwnershipEvidence } from "./ownership.ts";

/**
 * So long connections keep an external address on kube-ipvs0 that no Service wants: with the time between two counts of
 * connections it is gone within 30 s.
 */
const RELEASE_MS = 25_000;

/** The sets that name frontends on external addresses, and the set that names those on cluster IPs. */
const SETS = { IPv4: frontendSets("IPv4"), IPv6: frontendSets("IPv6") };

function frontendSets(family: IPFamily): { readonly external: readonly IPSet[]; readonly cluster: readonly IPSet[] } {
  const external = ipsets(family).filter(({ role }) => role === "external-frontend");
  return { external, cluster: [ipset("KUBE-CLUSTER-IP", family)] };
}

/**
 * How long real servers of an unwanted virtual server may drain, where that is not as long as any other. A ClusterIP exists
 * for its Service alone, and waits for connections. An external address may belong to another host a second later: as long
 * as it stays on kube-ipvs0, this node and its pods cannot reach the new owner, and the node answers ARP requests for it. So
 * its last connections end with it.
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
