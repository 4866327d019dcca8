import { familyOf } from "../model/address.ts";
import type { SetEntry } from "../model/ipset.ts";
import type { VirtualServer, VirtualServerKey } from "../model/ipvs.ts";
import type { Wants } from "./wants.ts";

/**
 * The members that a Service may have of those it wants. One that speaks of a frontend which another Service holds would
 * restrict, drop or mark the clients of that other, and one with a mark that another holds would lead there.
 */
export function heldEntries(
  { servers, entries }: Wants,
  holds: (key: VirtualServerKey) => boolean,
): readonly SetEntry[] {
  if (servers.every(({ server }) => holds(server.key))) return entries;
  const lost = servers.filter(({ server }) => !holds(server.key));
  const held = servers.filter(({ server }) => holds(server.key));
  return entries.filter((entry) => {
    if (!lost.some(({ server }) => speaksOf(entry, server))) return true;
    // The number of a NodePort speaks of it at every address. A mark needs both its frontend and its virtual server.
    return entry.address === undefined && held.some(({ server }) => speaksOf(entry, server));
  });
}

function speaksOf(entry: SetEntry, server: VirtualServer): boolean {
  if (server.mark !== 0) return entry.mark === server.mark && entry.set.family === familyOf(server.address);
  if (entry.port !== server.port) return false;
  if (entry.address !== undefined) return entry.address === server.address && entry.protocol === server.protocol;
  // The sets of numbers of NodePorts end in their protocol.
  return entry.set.family === familyOf(server.address) && entry.set.base.endsWith(`-${server.protocol}`);
}
