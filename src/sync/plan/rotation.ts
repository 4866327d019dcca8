import { fnv1a } from "../../model/fnv.ts";
import type { RealServer, VirtualServer } from "../../model/kernel/ipvs.ts";

/** Their table of hashes follows the order of the real servers: what differs between nodes would send one client to two. */
const HASHING: ReadonlySet<string> = new Set(["sh", "dh", "mh"]);

/**
 * Real servers that a virtual server gets, in the order in which to add them. IPVS puts each at the head of its list;
 * rr and wrr begin there, and lc, wlc, sed and nq choose the first among equals. Were the order the same on all nodes, the
 * first connection of each would go to one and the same pod. So on each node the list begins at another place, by
 * the names of the node and of the virtual server.
 */
export function additionOrder(
  server: VirtualServer,
  list: readonly RealServer[],
  nodeName: string,
): readonly RealServer[] {
  if (list.length < 2 || HASHING.has(server.scheduler)) return list;
  const start = fnv1a(`${nodeName} ${server.key}`) % list.length;
  return start === 0 ? list : [...list.slice(start), ...list.slice(0, start)];
}
