import type { IPFamily } from "../../model/address.ts";
import {
  NO_TRAFFIC,
  type RealTraffic,
  type TrafficCounts,
  type VirtualServerTraffic,
} from "../../model/kernel/traffic.ts";
import { AttributeReader } from "../netlink/attributes.ts";
import { GENERIC_HEADER_BYTES, type Message } from "../netlink/message.ts";
import { decodeReal, decodeServer } from "./codec.ts";
import {
  IPVS_CMD_ATTR_DEST,
  IPVS_CMD_ATTR_SERVICE,
  IPVS_DEST_ATTR_STATS,
  IPVS_DEST_ATTR_STATS64,
  IPVS_STATS_ATTR_CONNS,
  IPVS_STATS_ATTR_INBYTES,
  IPVS_STATS_ATTR_INPKTS,
  IPVS_STATS_ATTR_OUTBYTES,
  IPVS_STATS_ATTR_OUTPKTS,
  IPVS_SVC_ATTR_STATS,
  IPVS_SVC_ATTR_STATS64,
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
  const counts = readCounts(message, IPVS_CMD_ATTR_DEST, DEST_STATS);
  return counts && { ...decoded, ...counts };
}

/** Reads an answer to GET_SERVICE with the traffic of the virtual server; undefined if it is malformed or has no key. */
export function decodeServerTraffic(message: Message): VirtualServerTraffic | undefined {
  const decoded = decodeServer(message);
  if (decoded?.kind !== "server") return undefined;
  const counts = readCounts(message, IPVS_CMD_ATTR_SERVICE, SERVICE_STATS);
  return counts && { key: decoded.server.key, counts };
}

const DEST_STATS: ReadonlySet<number> = new Set([IPVS_DEST_ATTR_STATS, IPVS_DEST_ATTR_STATS64]);
const SERVICE_STATS: ReadonlySet<number> = new Set([IPVS_SVC_ATTR_STATS, IPVS_SVC_ATTR_STATS64]);

/**
 * Reads the counters of the object that is in this attribute of the message. The counters of 64 bits come after those of 32 bits,
 * and replace them.
 */
function readCounts(message: Message, attribute: number, statistics: ReadonlySet<number>): TrafficCounts | undefined {
  const counts = { ...NO_TRAFFIC };
  const reader = new AttributeReader(message.payload.subarray(GENERIC_HEADER_BYTES));
  while (reader.next()) {
    if (reader.type !== attribute) continue;
    const object = reader.nested();
    while (object.next()) if (statistics.has(object.type)) readStatistics(object.nested(), counts);
  }
  return reader.failed ? undefined : counts;
}

function readStatistics(reader: AttributeReader, counts: Record<keyof TrafficCounts, number>): void {
  while (reader.next()) {
    const field = FIELDS.get(reader.type);
    if (field !== undefined) counts[field] = reader.count();
  }
}
