import { familyOf } from "../../model/address.ts";
import { addressPortEntry, ipset, type SetBase } from "../../model/kernel/ipset.ts";
import type { VirtualServer } from "../../model/kernel/ipvs.ts";
import type { Desired } from "../desired.ts";
import type { Evidence } from "./ownership.ts";

/**
 * So long connections keep an external address on kube-ipvs0 that no Service wants: with the time between two counts of
 * connections it is gone within 30 s.
 */
const RELEASE_MS = 25_000;

/** The sets of frontends on external addresses. */
const EXTERNAL: readonly SetBase[] = ["KUBE-EXTERNAL-IP", "KUBE-EXTERNAL-IP-LOCAL", "KUBE-LOAD-BALANCER"];

/**
 * How long real servers of an unwanted virtual server may drain, where that is not as long as any other. A ClusterIP exists
 * for its Service alone, and waits for connections. An external address may belong to another host a second later: as long
 * as it stays on kube-ipvs0, this node and its pods cannot reach the new owner, and the node answers ARP requests for it. So
 * its last connections end with it.
 */
export function releaseLimitMs(
  server: VirtualServer,
  desired: Pick<Desired, "hasAddress">,
  held: Evidence,
): number | undefined {
  const { address } = server;
  if (server.mark !== 0 || !held.hasAddress(address) || desired.hasAddress(address)) return undefined;
  return EXTERNAL.some((base) => isMember(base, server, held)) && !isMember("KUBE-CLUSTER-IP", server, held)
    ? RELEASE_MS
    : undefined;
}

function isMember(base: SetBase, { address, protocol, port }: VirtualServer, held: Evidence): boolean {
  return held.hasEntry(addressPortEntry(ipset(base, familyOf(address)), address, protocol, port).key);
}
