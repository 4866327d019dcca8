import { addressFromBytes, familyOf, hostPrefix, type IPAddress, type IPFamily } from "../../model/address.ts";
import { AttributeReader, type AttributeWriter } from "../netlink/attributes.ts";
import {
  beginMessage,
  endMessage,
  type Message,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from "../netlink/message.ts";
import {
  AF_INET,
  AF_INET6,
  IFA_ADDRESS,
  IFA_CACHEINFO,
  IFA_CACHEINFO_BYTES,
  IFA_F_DEPRECATED,
  IFA_F_NODAD,
  IFA_F_OPTIMISTIC,
  IFA_F_TENTATIVE,
  IFA_LOCAL,
  IFADDRMSG_BYTES,
  IFINFOMSG_BYTES,
  IFLA_IFNAME,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  INFINITY_LIFE_TIME,
  RT_SCOPE_UNIVERSE,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from "./constants.ts";

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** "dummy", "veth"; "" for a hardware interface. */
  readonly kind: string;
}

/** An address, and the index of the interface that has it. */
export interface LinkAddress {
  readonly index: number;
  readonly address: IPAddress;
  /** Linux uses another address of the node as source of its own connections, if there is one. For IPv6 only. */
  readonly isDeprecated: boolean;
  /**
   * Packets to this address are not for this host: Linux checks it for duplicates or found one (RFC 4862, tentative).
   */
  readonly isTentative: boolean;
}

/**
 * Encodes the request for the interface with this name.
 *
 *     nlmsghdr | ifinfomsg { u8 family; u8; u16 type; i32 index; u32 flags; u32 change } | IFNAME
 */
export function encodeGetLink(writer: AttributeWriter, name: string): void {
  const message = beginMessage(writer, RTM_GETLINK, 0);
  writer.reserve(IFINFOMSG_BYTES);
  writer.string(IFLA_IFNAME, name);
  endMessage(writer, message);
}

/** Encodes the creation of a dummy interface, which is down. EEXIST if the name is in use. */
export function encodeNewDummy(writer: AttributeWriter, name: string): void {
  const message = beginMessage(writer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  writer.reserve(IFINFOMSG_BYTES);
  writer.string(IFLA_IFNAME, name);
  const linkInfo = writer.begin(IFLA_LINKINFO);
  writer.string(IFLA_INFO_KIND, "dummy");
  writer.end(linkInfo);
  endMessage(writer, message);
}

/** Encodes the removal of an interface and all its addresses. */
export function encodeDeleteLink(writer: AttributeWriter, index: number): void {
  const message = beginMessage(writer, RTM_DELLINK, 0);
  const header = writer.reserve(IFINFOMSG_BYTES);
  writer.setU32(header + 4, index);
  endMessage(writer, message);
}

/** Reads an answer to RTM_GETLINK; undefined if it is malformed. */
export function decodeLink(message: Message): Link | undefined {
  const { payload } = message;
  if (message.type !== RTM_NEWLINK || payload.length < IFINFOMSG_BYTES) return undefined;
  const reader = new AttributeReader(payload.subarray(IFINFOMSG_BYTES));
  let name = "";
  let kind = "";
  while (reader.next()) {
    if (reader.type === IFLA_IFNAME) name = reader.string();
    else if (reader.type === IFLA_LINKINFO) kind = readKind(reader.nested());
  }
  return reader.failed ? undefined : { index: u32At(payload, 4), name, kind };
}

function readKind(linkInfo: AttributeReader): string {
  let kind = "";
  while (linkInfo.next()) if (linkInfo.type === IFLA_INFO_KIND) kind = linkInfo.string();
  return kind;
}

/**
 * Encodes the addition of an address as /32 or /128; an IPv6 address is added as deprecated. EEXIST if the interface
 * has the address.
 *
 *     nlmsghdr | ifaddrmsg { u8 family; u8 prefix; u8 flags; u8 scope; u32 index } | LOCAL | ADDRESS | CACHEINFO
 *
 * CACHEINFO, for IPv6, is { u32 preferred; u32 valid; u32; u32 } in seconds.
 */
export function encodeNewAddress(writer: AttributeWriter, index: number, address: IPAddress): void {
  encodeAddress(writer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address);
}

/** Encodes the deprecation of an IPv6 address of an interface, in place: no packet to the address is lost. */
export function encodeDeprecateAddress(writer: AttributeWriter, index: number, address: IPAddress): void {
  encodeAddress(writer, RTM_NEWADDR, NLM_F_REPLACE, index, address);
}

/** Encodes the removal of an address from an interface. EADDRNOTAVAIL if the interface does not have it. */
export function encodeDeleteAddress(writer: AttributeWriter, index: number, address: IPAddress): void {
  encodeAddress(writer, RTM_DELADDR, 0, index, address);
}

function encodeAddress(writer: AttributeWriter, type: number, flags: number, index: number, address: IPAddress): void {
  const family = familyOf(address);
  const message = beginMessage(writer, type, flags);
  const header = writer.reserve(IFADDRMSG_BYTES);
  writer.setU8(header, family === "IPv4" ? AF_INET : AF_INET6);
  writer.setU8(header + 1, hostPrefix(family));
  writer.setU8(header + 2, family === "IPv6" ? IFA_F_NODAD : 0);
  writer.setU8(header + 3, RT_SCOPE_UNIVERSE);
  writer.setU32(header + 4, index);
  writer.address(IFA_LOCAL, address);
  writer.address(IFA_ADDRESS, address);
  if (type === RTM_NEWADDR && family === "IPv6") writer.bytes(IFA_CACHEINFO, VALID_FOR_EVER_PREFERRED_NEVER);
  endMessage(writer, message);
}

const VALID_FOR_EVER_PREFERRED_NEVER = new Uint8Array(IFA_CACHEINFO_BYTES);
new DataView(VALID_FOR_EVER_PREFERRED_NEVER.buffer).setUint32(4, INFINITY_LIFE_TIME, true);

/** Encodes a dump of the addresses of all interfaces, for one family or for both. */
export function encodeGetAddresses(writer: AttributeWriter, family?: IPFamily): void {
  const message = beginMessage(writer, RTM_GETADDR, NLM_F_DUMP);
  const header = writer.reserve(IFADDRMSG_BYTES);
  if (family !== undefined) writer.setU8(header, family === "IPv4" ? AF_INET : AF_INET6);
  endMessage(writer, message);
}

/**
 * Reads one part of the dump; undefined if it is malformed, "other" if it is not an IP address. If the part has both
 * LOCAL and ADDRESS, LOCAL is the address of the interface, and ADDRESS is the other end of a point-to-point link.
 */
export function decodeAddress(message: Message): LinkAddress | "other" | undefined {
  const { payload } = message;
  if (message.type !== RTM_NEWADDR || payload.length < IFADDRMSG_BYTES) return undefined;
  const length = ADDRESS_BYTES.get(payload[0] ?? 0);
  if (length === undefined) return "other";
  const reader = new AttributeReader(payload.subarray(IFADDRMSG_BYTES));
  let local: Uint8Array | undefined;
  let address: Uint8Array | undefined;
  while (reader.next()) {
    if (reader.type === IFA_LOCAL) local = reader.bytes();
    else if (reader.type === IFA_ADDRESS) address = reader.bytes();
  }
  const own = local ?? address;
  if (reader.failed || own?.length !== length) return undefined;
  const flags = payload[2] ?? 0;
  return {
    index: u32At(payload, 4),
    address: addressFromBytes(own),
    isDeprecated: (flags & IFA_F_DEPRECATED) !== 0,
    isTentative: (flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) === IFA_F_TENTATIVE,
  };
}

const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [AF_INET, 4],
  [AF_INET6, 16],
]);

function u32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
