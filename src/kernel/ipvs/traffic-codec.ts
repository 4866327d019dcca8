import type { IPFamily } from "../../model/address.ts";
import type { RealTraffic, TrafficCounts } from "../../model/kernel/traffic.ts";
import { AttributeReader } from "../netlink/attributes.ts";
import { GENERIC_HEADER_BYTES, type Message } from "../netlink/message.ts";
import { decodeReal } from "./codec.ts";
import {
  IPVS_CMD_ATTR_DEST,
  IPVS_DEST_ATTR_STATS,
  IPVS_DEST_ATTR_STATS64,
  IPVS_STATS_ATTR_CONNS,
  IPVS_STATS_ATTR_INBYTES,
  IPVS_STATS_ATTR_INPKTS,
  IPVS_STATS_ATTR_OUTBYTES,
  IPVS_STATS_ATTR_OUTPKTS,
} from "./constants.ts";

const FIELDS: ReadonlyMap<number, keyof TrafficCounts> = new Map([
  [IPVS_STATS_ATTR_CONNS, "connections"],
  [IPVS_STATS_ATTR_INPKTS, "packetsIn"],
  [IPVS_STATS_ATTR_OUTPKTS, "packetsOut"],
  [IPVS_STATS_ATTR_INBYTES, "bytesIn"],
  [IPVS_STATS_ATTR_OUTBYTES, "bytesOut"],
]);

/**
 * Reads one part of the answer to GET_DEST with the traffic of the real server; undefined if it is malformed. A resync
 * reads the same messages without the traffic, because it does not need it.
 */
export function decodeTraffic(message: Message, family: IPFamily): RealTraffic | undefined {
  const decoded = decodeReal(message, family);
  if (decoded === undefined) return undefined;
  const counts = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };
  const reader = new AttributeReader(message.payload.subarray(GENERIC_HEADER_BYTES));
  while (reader.next()) if (reader.type === IPVS_CMD_ATTR_DEST) readDest(reader.nested(), counts);
  return reader.failed ? undefined : { ...decoded, ...counts };
}

/** The counters of 64 bits come after those of 32 bits, and replace them. */
function readDest(reader: AttributeReader, counts: Record<keyof TrafficCounts, number>): void {
  while (reader.next()) {
    if (reader.type !== IPVS_DEST_ATTR_STATS && reader.type !== IPVS_DEST_ATTR_STATS64) continue;
    const stats = reader.nested();
    while (stats.next()) {
      const field = FIELDS.get(stats.type);
      if (field !== undefined) counts[field] = stats.count();
    }
  }
}
