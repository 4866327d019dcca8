import { markedServerKey, type VirtualServerKey, virtualServerKey } from "../model/ipvs.ts";
import type { Wants } from "./wants.ts";

/**
 * The virtual servers that serve the same frontends to other clients: of one by address that by mark for the clients of
 * this node, and of one by mark those by address. Packets to one frontend, as conntrack knows them, may go to either.
 */
export function twinsOf(key: VirtualServerKey, { entries }: Wants): readonly VirtualServerKey[] {
  return entries.flatMap(({ set, address, protocol, port, mark }) => {
    if (mark === undefined || address === undefined || protocol === undefined || port === undefined) return [];
    const [byAddress, byMark] = [virtualServerKey(protocol, address, port), markedServerKey(set.family, mark)];
    if (key === byAddress) return [byMark];
    return key === byMark ? [byAddress] : [];
  });
}
