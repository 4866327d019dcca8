import { addressFromBytes, familyOf, hostPrefix, type IPAddress, type IPFamily } from "../../model/address.ts";
import { AF_INET, AF_INET6, RT_SCOPE_UNIVERSE } from "../link/constants.ts";
import { AttributeReader, type AttributeWriter } from "../netlink/attributes.ts";
import { beginMessage, endMessage, type Message, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL } from "../netlink/message.ts";
import {
  LOOPBACK_IFINDEX,
  METRIC,
  RT_SCOPE_HOST,
  RT_TABLE_LOCAL,
  RTA_DST,
  RTA_OIF,
  RTA_PRIORITY,
  RTA_TABLE,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTMSG_BYTES,
  RTN_LOCAL,
  RTPROT_KUBE_IPVS,
} from "./constants.ts";

/**
 * Encodes the addition of the route of type local to one address. EEXIST if the agent has added it already.
 *
 *     nlmsghdr | rtmsg { u8 family; u8 dst_len; u8 src_len; u8 tos; u8 table; u8 protocol; u8 scope; u8 type; u32 flags }
 *              | DST | OIF | PRIORITY
 *
 * There is no PREFSRC. IPv6 accepts only an address of an interface there. For IPv4 the source of the host's own
 * connections is the VIP without it too, and the kernel deletes routes whose PREFSRC is an address that an interface loses.
 */
export function encodeNewRoute(writer: AttributeWriter, vip: IPAddress): void {
  encodeRoute(writer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, vip);
}

/**
 * Encodes the removal of that route. ESRCH if there is none: the kernel compares type, protocol, metric and interface, so
 * no other route to the address is deleted.
 */
export function encodeDeleteRoute(writer: AttributeWriter, vip: IPAddress): void {
  encodeRoute(writer, RTM_DELROUTE, 0, vip);
}

function encodeRoute(writer: AttributeWriter, type: number, flags: number, vip: IPAddress): void {
  const family = familyOf(vip);
  const message = beginMessage(writer, type, flags);
  const header = writer.reserve(RTMSG_BYTES);
  writer.setU8(header, family === "IPv4" ? AF_INET : AF_INET6);
  writer.setU8(header + 1, hostPrefix(family));
  writer.setU8(header + 4, RT_TABLE_LOCAL);
  writer.setU8(header + 5, RTPROT_KUBE_IPVS);
  writer.setU8(header + 6, family === "IPv4" ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
  writer.setU8(header + 7, RTN_LOCAL);
  writer.address(RTA_DST, vip);
  writer.u32(RTA_OIF, LOOPBACK_IFINDEX);
  writer.u32(RTA_PRIORITY, METRIC);
  endMessage(writer, message);
}

/**
 * Encodes a dump of the routes of the agent. Table, protocol and type are a filter if the socket has
 * NETLINK_GET_STRICT_CHK; otherwise the kernel ignores them and sends all routes of the family, so `decodeRoute` compares
 * them too.
 */
export function encodeGetRoutes(writer: AttributeWriter, family: IPFamily): void {
  const message = beginMessage(writer, RTM_GETROUTE, NLM_F_DUMP);
  const header = writer.reserve(RTMSG_BYTES);
  writer.setU8(header, family === "IPv4" ? AF_INET : AF_INET6);
  writer.setU8(header + 4, RT_TABLE_LOCAL);
  writer.setU8(header + 5, RTPROT_KUBE_IPVS);
  writer.setU8(header + 7, RTN_LOCAL);
  endMessage(writer, message);
}

/**
 * Reads one part of the dump: the address of a route of the agent, "other" for any other route, undefined if the part is
 * malformed.
 */
export function decodeRoute({ type, payload }: Message): IPAddress | "other" | undefined {
  if (type !== RTM_NEWROUTE || payload.length < RTMSG_BYTES) return undefined;
  const bytes = addressBytesOfOwn(payload);
  // First, because a host may have a million routes.
  if (bytes === undefined) return "other";
  const { destination, table, device, failed } = attributesOf(payload);
  if (failed || destination?.length !== bytes) return undefined;
  return (table ?? payload[4]) === RT_TABLE_LOCAL && device === LOOPBACK_IFINDEX
    ? addressFromBytes(destination)
    : "other";
}

/** Returns the length of the address in a route of the agent, as its header shows; undefined if it is another route. */
function addressBytesOfOwn(payload: Uint8Array): number | undefined {
  if (payload[5] !== RTPROT_KUBE_IPVS || payload[7] !== RTN_LOCAL) return undefined;
  const bytes = ADDRESS_BYTES.get(payload[0] ?? 0);
  return bytes !== undefined && payload[1] === bytes * 8 ? bytes : undefined;
}

interface RouteAttributes {
  destination?: Uint8Array;
  table?: number;
  device?: number;
  failed: boolean;
}

function attributesOf(payload: Uint8Array): RouteAttributes {
  const reader = new AttributeReader(payload.subarray(RTMSG_BYTES));
  const found: RouteAttributes = { failed: false };
  while (reader.next()) {
    if (reader.type === RTA_DST) found.destination = reader.bytes();
    else if (reader.type === RTA_TABLE) found.table = reader.u32();
    else if (reader.type === RTA_OIF) found.device = reader.u32();
  }
  found.failed = reader.failed;
  return found;
}

const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [AF_INET, 4],
  [AF_INET6, 16],
]);
