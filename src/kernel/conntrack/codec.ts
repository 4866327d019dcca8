import { addressFromBytes, familyOf, type IPAddress, type IPFamily } from "../../model/address.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import { type RealServerKey, realServerKey, type VirtualServerKey, virtualServerKey } from "../../model/kernel/ipvs.ts";
import { PROTOCOL_NUMBERS, protocolOf } from "../../model/kernel/protocol-numbers.ts";
import { AttributeReader, type AttributeWriter } from "../netlink/attributes.ts";
import {
  beginNetfilterMessage,
  endMessage,
  type Message,
  NETFILTER_HEADER_BYTES,
  NLM_F_DUMP,
} from "../netlink/message.ts";
import {
  AF_INET,
  AF_INET6,
  CTA_FILTER,
  CTA_FILTER_F_CTA_IP_DST,
  CTA_FILTER_F_CTA_PROTO_DST_PORT,
  CTA_FILTER_F_CTA_PROTO_NUM,
  CTA_FILTER_ORIG_FLAGS,
  CTA_FILTER_REPLY_FLAGS,
  CTA_ID,
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_STATUS,
  CTA_STATUS_MASK,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_NEW,
  IPS_SEEN_REPLY,
  NFNL_SUBSYS_CTNETLINK,
} from "./constants.ts";

/** The flows to list: all of one protocol and family, or only those sent to one address and port. */
export interface FlowFilter {
  readonly family: IPFamily;
  readonly protocol: Protocol;
  readonly to?: { readonly address: IPAddress; readonly port: number };
  /** Lists only flows without a reply. */
  readonly isUnreplied?: boolean;
}

const NUMBERS: Readonly<Record<IPFamily, number>> = { IPv4: AF_INET, IPv6: AF_INET6 };

/** A connection in the conntrack table. */
export interface Flow {
  readonly family: IPFamily;
  /** Protocol, address and port to which the client sends. */
  readonly to: VirtualServerKey;
  /** Address and port that answer: they differ from `to` if the destination was rewritten. */
  readonly from: RealServerKey;
  /** Whether a reply was seen. */
  readonly isReplied: boolean;
  /** The attributes of the original tuple, by which the kernel finds the flow. A view. */
  readonly original: Uint8Array;
  /** The id that distinguishes the flow from a later flow with the same tuple. A view. */
  readonly id: Uint8Array;
}

/**
 * Encodes a dump of flows. The filter only reduces the work, and every answer must be checked: kernels before 5.8
 * ignore it and answer with the whole family, kernels before 5.15 ignore the status. IPv6 addresses are not part of the filter, because Linux (6.1 and others)
 * then returns the flows of all addresses except the requested one (`ctnetlink_filter_match_tuple`).
 *
 *     nlmsghdr | nfgenmsg | TUPLE_ORIG { IP { DST }, PROTO { NUM, DST_PORT } } | FILTER { ORIG_FLAGS, REPLY_FLAGS } | STATUS, STATUS_MASK
 */
export function encodeListFlows(
  writer: AttributeWriter,
  { family, protocol, to, isUnreplied = false }: FlowFilter,
): void {
  const message = beginNetfilterMessage(writer, NFNL_SUBSYS_CTNETLINK, NLM_F_DUMP, IPCTNL_MSG_CT_GET, NUMBERS[family]);
  let flags = CTA_FILTER_F_CTA_PROTO_NUM;
  const tuple = writer.begin(CTA_TUPLE_ORIG);
  if (to !== undefined && family === "IPv4") {
    flags |= CTA_FILTER_F_CTA_IP_DST;
    const ip = writer.begin(CTA_TUPLE_IP);
    writer.address(CTA_IP_V4_DST, to.address);
    writer.end(ip);
  }
  const proto = writer.begin(CTA_TUPLE_PROTO);
  writer.u8(CTA_PROTO_NUM, PROTOCOL_NUMBERS[protocol]);
  if (to !== undefined) {
    flags |= CTA_FILTER_F_CTA_PROTO_DST_PORT;
    writer.be16(CTA_PROTO_DST_PORT, to.port);
  }
  writer.end(proto);
  writer.end(tuple);
  const filter = writer.begin(CTA_FILTER);
  writer.u32(CTA_FILTER_ORIG_FLAGS, flags);
  writer.u32(CTA_FILTER_REPLY_FLAGS, 0);
  writer.end(filter);
  if (isUnreplied) {
    writer.be32(CTA_STATUS, 0);
    writer.be32(CTA_STATUS_MASK, IPS_SEEN_REPLY);
  }
  endMessage(writer, message);
}

/**
 * Encodes the removal of one flow. ENOENT if the flow does not exist any more, even if another flow has the same tuple
 * now.
 */
export function encodeDeleteFlow(writer: AttributeWriter, { family, original, id }: Flow): void {
  const message = beginNetfilterMessage(writer, NFNL_SUBSYS_CTNETLINK, 0, IPCTNL_MSG_CT_DELETE, NUMBERS[family]);
  writer.nested(CTA_TUPLE_ORIG, original);
  writer.bytes(CTA_ID, id);
  endMessage(writer, message);
}

const FLOW_MESSAGE = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;
const NO_BYTES = new Uint8Array(0);

/**
 * Reads one part of a list; undefined if it is malformed, "other" if it is not a flow to a Service: it has another
 * protocol or is not in the conntrack zone of the node's own traffic.
 */
export function decodeFlow({ type, payload }: Message): Flow | "other" | undefined {
  if (type !== FLOW_MESSAGE || payload.length < NETFILTER_HEADER_BYTES) return undefined;
  const parts = readParts(new AttributeReader(payload.subarray(NETFILTER_HEADER_BYTES)));
  if (parts === undefined) return undefined;
  const { sent, answered, isReplied, original, id } = parts;
  const protocol = protocolOf(sent.protocol);
  if (protocol === undefined || parts.zone !== 0) return "other";
  const [to, from] = [sent.destination, answered.source];
  if (to === undefined || from === undefined || id.length === 0) return undefined;
  return {
    family: familyOf(to),
    to: virtualServerKey(protocol, to, sent.destinationPort),
    from: realServerKey(from, answered.sourcePort),
    isReplied,
    original,
    id,
  };
}

interface FlowFields {
  sent: Tuple;
  answered: Tuple;
  isReplied: boolean;
  original: Uint8Array;
  id: Uint8Array;
  zone: number;
}

function readParts(reader: AttributeReader): FlowFields | undefined {
  const parts: FlowFields = {
    sent: NO_TUPLE,
    answered: NO_TUPLE,
    isReplied: false,
    original: NO_BYTES,
    id: NO_BYTES,
    zone: 0,
  };
  while (reader.next()) {
    if (reader.type === CTA_TUPLE_ORIG) {
      parts.original = reader.bytes();
      parts.sent = readTuple(reader.nested());
    } else if (reader.type === CTA_TUPLE_REPLY) parts.answered = readTuple(reader.nested());
    else if (reader.type === CTA_STATUS) parts.isReplied = (reader.be32() & IPS_SEEN_REPLY) !== 0;
    else if (reader.type === CTA_ID) parts.id = reader.bytes();
    else if (reader.type === CTA_ZONE) parts.zone = reader.be16();
  }
  return reader.failed ? undefined : parts;
}

interface Tuple {
  source: IPAddress | undefined;
  destination: IPAddress | undefined;
  protocol: number;
  sourcePort: number;
  destinationPort: number;
}

const NO_TUPLE: Readonly<Tuple> = {
  source: undefined,
  destination: undefined,
  protocol: 0,
  sourcePort: 0,
  destinationPort: 0,
};

function readTuple(reader: AttributeReader): Tuple {
  const tuple: Tuple = { ...NO_TUPLE };
  while (reader.next()) {
    if (reader.type === CTA_TUPLE_IP) readAddresses(reader.nested(), tuple);
    else if (reader.type === CTA_TUPLE_PROTO) readProtocol(reader.nested(), tuple);
  }
  return tuple;
}

function readAddresses(reader: AttributeReader, tuple: Tuple): void {
  while (reader.next()) {
    const bytes = reader.bytes();
    const length = ADDRESS_BYTES.get(reader.type);
    if (length !== bytes.length) continue;
    const isSource = reader.type === CTA_IP_V4_SRC || reader.type === CTA_IP_V6_SRC;
    tuple[isSource ? "source" : "destination"] = addressFromBytes(bytes);
  }
}

const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [CTA_IP_V4_SRC, 4],
  [CTA_IP_V4_DST, 4],
  [CTA_IP_V6_SRC, 16],
  [CTA_IP_V6_DST, 16],
]);

function readProtocol(reader: AttributeReader, tuple: Tuple): void {
  while (reader.next()) {
    if (reader.type === CTA_PROTO_NUM) tuple.protocol = reader.u8();
    else if (reader.type === CTA_PROTO_SRC_PORT) tuple.sourcePort = reader.be16();
    else if (reader.type === CTA_PROTO_DST_PORT) tuple.destinationPort = reader.be16();
  }
}
