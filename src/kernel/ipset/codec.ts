import { addressFromBytes, type Cidr, cidr, familyOf, hostPrefix, type IPAddress } from "../../model/address.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import {
  addressEntry,
  addressPortAddressEntry,
  addressPortEntry,
  addressPortNetworkEntry,
  givesMarks,
  type IPSet,
  markEntry,
  networkEntry,
  portEntry,
  type SetEntry,
  type SetName,
} from "../../model/kernel/ipset.ts";
import { PROTOCOL_NUMBERS, protocolOf } from "../../model/kernel/protocol-numbers.ts";
import type { TestedMember } from "../../model/kernel/set-question.ts";
import { AttributeReader, type AttributeWriter } from "../netlink/attributes.ts";
import {
  beginNetfilterMessage,
  endMessage,
  MESSAGE_HEADER_BYTES,
  NETFILTER_HEADER_BYTES,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
} from "../netlink/message.ts";
import * as k from "./constants.ts";

/** The maximum number of members and the initial number of hash buckets. A set of ports has neither. */
export interface SetSize {
  readonly maxElements: number;
  readonly hashSize: number;
}

/** A set as the kernel describes it. */
export interface SetHeader extends SetSize {
  readonly name: string;
  readonly type: string;
  /** The NFPROTO_ number. */
  readonly family: number;
  /** Whether its members may have a mark. */
  readonly marks: boolean;
  /** The number of its members; 0 from a kernel that does not send it. */
  readonly members: number;
}

/** One part of the answer to LIST: the first part of a set has the header, any part may have members. */
export interface SetPart {
  readonly header: SetHeader | undefined;
  readonly entries: readonly SetEntry[];
}

/** Encodes the request for the protocol versions of the kernel. */
export function encodeProtocol(writer: AttributeWriter): void {
  endMessage(writer, begin(writer, k.IPSET_CMD_PROTOCOL, 0, k.PROTOCOL_MIN));
}

/**
 * Returns the version to use, from the answer to `encodeProtocol`; undefined if the kernel supports none of the agent's
 * versions.
 */
export function decodeProtocol(payload: Uint8Array): number | undefined {
  const reader = attributes(payload);
  let highest = 0;
  let lowest = 0;
  while (reader.next()) {
    if (reader.type === k.IPSET_ATTR_PROTOCOL) highest = reader.u8();
    if (reader.type === k.IPSET_ATTR_PROTOCOL_MIN) lowest = reader.u8();
  }
  const version = Math.min(highest, k.PROTOCOL_MAX);
  return reader.failed || version < Math.max(lowest, k.PROTOCOL_MIN) ? undefined : version;
}

/** Encodes CREATE; the kernel refuses it with IPSET_ERR_EXIST if the name exists. */
export function encodeCreate(
  writer: AttributeWriter,
  protocol: number,
  request: { readonly name: string; readonly set: IPSet; readonly size: SetSize },
): void {
  const { name, set, size } = request;
  const begun = begin(writer, k.IPSET_CMD_CREATE, NLM_F_CREATE | NLM_F_EXCL, protocol);
  writer.string(k.IPSET_ATTR_SETNAME, name);
  writer.string(k.IPSET_ATTR_TYPENAME, set.type);
  writer.u8(k.IPSET_ATTR_REVISION, k.revisionOf(set));
  writer.u8(k.IPSET_ATTR_FAMILY, k.familyNumber(set.type, set.family));
  const data = writer.begin(k.IPSET_ATTR_DATA);
  if (set.type === "bitmap:port") {
    writer.be16(k.IPSET_ATTR_PORT | k.NLA_F_NET_BYTEORDER, 0);
    writer.be16(k.IPSET_ATTR_PORT_TO | k.NLA_F_NET_BYTEORDER, 65_535);
  } else {
    writer.be32(k.IPSET_ATTR_HASHSIZE | k.NLA_F_NET_BYTEORDER, size.hashSize);
    writer.be32(k.IPSET_ATTR_MAXELEM | k.NLA_F_NET_BYTEORDER, size.maxElements);
  }
  if (givesMarks(set)) writer.be32(k.IPSET_ATTR_CADT_FLAGS | k.NLA_F_NET_BYTEORDER, k.IPSET_FLAG_WITH_SKBINFO);
  writer.end(data);
  endMessage(writer, begun);
}

/** Encodes DESTROY; the kernel refuses it with IPSET_ERR_BUSY while a rule refers to the set. */
export function encodeDestroy(writer: AttributeWriter, protocol: number, name: string): void {
  const begun = begin(writer, k.IPSET_CMD_DESTROY, 0, protocol);
  writer.string(k.IPSET_ATTR_SETNAME, name);
  endMessage(writer, begun);
}

/** Encodes SWAP: the sets exchange their names, and rules refer to the name. */
export function encodeSwap(writer: AttributeWriter, protocol: number, [from, to]: readonly [string, string]): void {
  const begun = begin(writer, k.IPSET_CMD_SWAP, 0, protocol);
  writer.string(k.IPSET_ATTR_SETNAME, from);
  writer.string(k.IPSET_ATTR_SETNAME2, to);
  endMessage(writer, begun);
}

/** Encodes a dump of the headers of all sets. */
export function encodeListHeaders(writer: AttributeWriter, protocol: number): void {
  const begun = begin(writer, k.IPSET_CMD_LIST, NLM_F_DUMP, protocol);
  writer.be32(k.IPSET_ATTR_FLAGS | k.NLA_F_NET_BYTEORDER, k.IPSET_FLAG_LIST_HEADER);
  endMessage(writer, begun);
}

/** Encodes a dump of one set with its members; the kernel refuses it with ENOENT if the set does not exist. */
export function encodeList(writer: AttributeWriter, protocol: number, name: string): void {
  const begun = begin(writer, k.IPSET_CMD_LIST, NLM_F_DUMP, protocol);
  writer.string(k.IPSET_ATTR_SETNAME, name);
  endMessage(writer, begun);
}

/** Members to add to one set, or to delete from it, in one message. */
export interface EntriesRequest {
  readonly kind: "add-entry" | "delete-entry";
  readonly name: string;
  readonly entries: readonly SetEntry[];
}

/**
 * Encodes ADD or DEL of many members. The kernel processes them in order and stops at the first that it refuses. It
 * then sends the request back, with the line number of that entry in the first LINENO attribute (`call_ad`). That
 * attribute comes before the entries, because the receive buffer may be shorter than the message.
 *
 *     | protocol | setname | lineno 0 | adt | data { lineno 1, member } | data { lineno 2, member } | ...
 */
export function encodeEntries(writer: AttributeWriter, protocol: number, request: EntriesRequest): void {
  const command = request.kind === "add-entry" ? k.IPSET_CMD_ADD : k.IPSET_CMD_DEL;
  // Without NLM_F_EXCL the kernel would report success for a member that is already present or already absent.
  const begun = begin(writer, command, NLM_F_CREATE | NLM_F_EXCL, protocol);
  writer.string(k.IPSET_ATTR_SETNAME, request.name);
  writer.u32(k.IPSET_ATTR_LINENO, 0);
  const adt = writer.begin(k.IPSET_ATTR_ADT);
  let line = 0;
  for (const entry of request.entries) {
    line += 1;
    const data = writer.begin(k.IPSET_ATTR_DATA);
    writer.u32(k.IPSET_ATTR_LINENO, line);
    encodeMember(writer, entry);
    writer.end(data);
  }
  writer.end(adt);
  endMessage(writer, begun);
}

/** Encodes TEST; the kernel refuses it with IPSET_ERR_EXIST if no member matches. A network is tested with an address. */
export function encodeTest(
  writer: AttributeWriter,
  protocol: number,
  { name, member }: { readonly name: string; readonly member: TestedMember },
): void {
  const begun = begin(writer, k.IPSET_CMD_TEST, 0, protocol);
  writer.string(k.IPSET_ATTR_SETNAME, name);
  const data = writer.begin(k.IPSET_ATTR_DATA);
  if (member.address !== undefined) encodeAddress(writer, k.IPSET_ATTR_IP, member.address);
  if (member.port !== undefined) {
    writer.be16(k.IPSET_ATTR_PORT | k.NLA_F_NET_BYTEORDER, member.port);
    writer.u8(k.IPSET_ATTR_PROTO, PROTOCOL_NUMBERS[member.protocol]);
  }
  if (member.second !== undefined) encodeAddress(writer, k.IPSET_ATTR_IP2, member.second);
  writer.end(data);
  endMessage(writer, begun);
}

/** Returns the line number in a refused ADD or DEL: 1 is its first entry; 0 if the whole message was refused. */
export function decodeRefusedLine(request: Uint8Array): number {
  const reader = attributes(request.subarray(MESSAGE_HEADER_BYTES));
  while (reader.next()) if (reader.type === k.IPSET_ATTR_LINENO) return reader.u32();
  return 0;
}

function encodeMember(writer: AttributeWriter, entry: SetEntry): void {
  if (entry.address !== undefined) encodeAddress(writer, k.IPSET_ATTR_IP, entry.address);
  if (entry.prefix !== undefined) writer.u8(k.IPSET_ATTR_CIDR, entry.prefix);
  if (entry.port !== undefined) writer.be16(k.IPSET_ATTR_PORT | k.NLA_F_NET_BYTEORDER, entry.port);
  if (entry.protocol !== undefined) writer.u8(k.IPSET_ATTR_PROTO, PROTOCOL_NUMBERS[entry.protocol]);
  if (entry.second !== undefined) encodeAddress(writer, k.IPSET_ATTR_IP2, entry.second);
  if (entry.secondPrefix !== undefined) writer.u8(k.IPSET_ATTR_CIDR2, entry.secondPrefix);
  if (entry.mark !== undefined && entry.markMask !== undefined) {
    writer.be32Pair(k.IPSET_ATTR_SKBMARK | k.NLA_F_NET_BYTEORDER, entry.mark, entry.markMask);
  }
}

function encodeAddress(writer: AttributeWriter, type: number, address: IPAddress): void {
  const begun = writer.begin(type);
  const inner = address.includes(":") ? k.IPSET_ATTR_IPADDR_IPV6 : k.IPSET_ATTR_IPADDR_IPV4;
  writer.address(inner | k.NLA_F_NET_BYTEORDER, address);
  writer.end(begun);
}

/**
 * Reads one part of the answer to LIST; undefined if it is malformed. Members become entries of the set in `sets` that
 * has the name of the part. A member that no SetEntry can represent (its protocol is unknown to Kubernetes) is left
 * out: it does not belong to the agent.
 */
export function decodePart(payload: Uint8Array, sets: ReadonlyMap<SetName, IPSet>): SetPart | undefined {
  const reader = attributes(payload);
  let header: SetHeader = { name: "", type: "", family: 0, marks: false, members: 0, maxElements: 0, hashSize: 0 };
  const entries: SetEntry[] = [];
  while (reader.next()) {
    switch (reader.type) {
      case k.IPSET_ATTR_SETNAME:
        header = { ...header, name: reader.string() };
        break;
      case k.IPSET_ATTR_TYPENAME:
        header = { ...header, type: reader.string() };
        break;
      case k.IPSET_ATTR_FAMILY:
        header = { ...header, family: reader.u8() };
        break;
      case k.IPSET_ATTR_DATA:
        header = { ...header, ...decodeParameters(reader.nested()) };
        break;
      case k.IPSET_ATTR_ADT:
        decodeMembers(reader.nested(), find(sets, header.name), entries);
        break;
    }
  }
  if (reader.failed || header.name === "") return undefined;
  return { header: header.type === "" ? undefined : header, entries };
}

function find(sets: ReadonlyMap<SetName, IPSet>, name: string): IPSet | undefined {
  // The cast is safe: a name that is not a SetName is not in the map.
  return sets.get(name as SetName);
}

function decodeParameters(reader: AttributeReader): SetSize & Pick<SetHeader, "marks" | "members"> {
  const parameters = { maxElements: 0, hashSize: 0, marks: false, members: 0 };
  while (reader.next()) {
    if (reader.type === k.IPSET_ATTR_MAXELEM) parameters.maxElements = reader.be32();
    if (reader.type === k.IPSET_ATTR_HASHSIZE) parameters.hashSize = reader.be32();
    if (reader.type === k.IPSET_ATTR_ELEMENTS) parameters.members = reader.be32();
    if (reader.type === k.IPSET_ATTR_CADT_FLAGS) {
      parameters.marks = (reader.be32() & k.IPSET_FLAG_WITH_SKBINFO) !== 0;
    }
  }
  return parameters;
}

function decodeMembers(reader: AttributeReader, set: IPSet | undefined, entries: SetEntry[]): void {
  if (set === undefined) return;
  while (reader.next()) {
    const entry = decodeMember(reader.nested(), set);
    if (entry !== undefined) entries.push(entry);
  }
}

/** The attributes of a member that were read. */
interface Member {
  address?: IPAddress;
  prefix?: number;
  port?: number;
  protocol?: Protocol;
  second?: IPAddress;
  secondPrefix?: number;
  mark?: number;
  markMask?: number;
}

function decodeMember(reader: AttributeReader, set: IPSet): SetEntry | undefined {
  const member: Member = {};
  while (reader.next()) decodeMemberAttribute(reader, member);
  const { address, port, protocol, second, secondPrefix } = member;
  if (set.type === "bitmap:port") return port === undefined ? undefined : portEntry(set, port);
  if (address === undefined) return undefined;
  if (set.type === "hash:ip") return addressEntry(set, address);
  if (set.type === "hash:net") return networkEntry(set, network(address, member.prefix));
  if (port === undefined || protocol === undefined) return undefined;
  if (givesMarks(set)) return markEntry(set, address, protocol, port, member.mark ?? 0, member.markMask ?? 0);
  if (set.type === "hash:ip,port") return addressPortEntry(set, address, protocol, port);
  if (second === undefined) return undefined;
  if (set.type === "hash:ip,port,ip") return addressPortAddressEntry(set, address, protocol, port, second);
  return addressPortNetworkEntry(set, address, protocol, port, network(second, secondPrefix));
}

/** Returns a network; the kernel may leave out the prefix length of a single address. */
function network(address: IPAddress, prefix: number | undefined): Cidr {
  return cidr(address, prefix ?? hostPrefix(familyOf(address)));
}

function decodeMemberAttribute(reader: AttributeReader, member: Member): void {
  switch (reader.type) {
    case k.IPSET_ATTR_IP:
      Object.assign(member, { address: decodeAddress(reader.nested()) });
      break;
    case k.IPSET_ATTR_CIDR:
      member.prefix = reader.u8();
      break;
    case k.IPSET_ATTR_PORT:
      member.port = reader.be16();
      break;
    case k.IPSET_ATTR_PROTO:
      Object.assign(member, { protocol: protocolOf(reader.u8()) });
      break;
    case k.IPSET_ATTR_IP2:
      Object.assign(member, { second: decodeAddress(reader.nested()) });
      break;
    case k.IPSET_ATTR_CIDR2:
      member.secondPrefix = reader.u8();
      break;
    case k.IPSET_ATTR_SKBMARK:
      [member.mark, member.markMask] = reader.be32Pair();
      break;
  }
}

function decodeAddress(reader: AttributeReader): IPAddress | undefined {
  while (reader.next()) {
    const bytes = reader.bytes();
    if (bytes.length === 4 || bytes.length === 16) return addressFromBytes(bytes);
  }
  return undefined;
}

function attributes(payload: Uint8Array): AttributeReader {
  return new AttributeReader(payload.subarray(NETFILTER_HEADER_BYTES));
}

function begin(writer: AttributeWriter, command: number, flags: number, protocol: number): number {
  const begun = beginNetfilterMessage(writer, k.NFNL_SUBSYS_IPSET, flags, command, k.NFPROTO_IPV4);
  writer.u8(k.IPSET_ATTR_PROTOCOL, protocol);
  return begun;
}
