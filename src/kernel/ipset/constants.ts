import type { IPFamily } from "../../model/address.ts";
import { type Errno, errnoNamed } from "../../model/kernel/errno.ts";
import { givesMarks, type IPSet, type SetType } from "../../model/kernel/ipset.ts";
import { errnoName } from "../netlink/error.ts";

// From linux/netfilter/ipset/ip_set.h, ip_set_hash.h and ip_set_bitmap.h.

export const NFNL_SUBSYS_IPSET = 6;

/** The protocol versions that the agent supports. The parts that it uses are the same in all of them. */
export const PROTOCOL_MIN = 6;
export const PROTOCOL_MAX = 7;

export const IPSET_CMD_PROTOCOL = 1;
export const IPSET_CMD_CREATE = 2;
export const IPSET_CMD_DESTROY = 3;
export const IPSET_CMD_SWAP = 6;
export const IPSET_CMD_LIST = 7;
export const IPSET_CMD_ADD = 9;
export const IPSET_CMD_DEL = 10;
export const IPSET_CMD_TEST = 11;

/** Attributes of a command. */
export const IPSET_ATTR_PROTOCOL = 1;
export const IPSET_ATTR_SETNAME = 2;
export const IPSET_ATTR_TYPENAME = 3;
export const IPSET_ATTR_SETNAME2 = 3;
export const IPSET_ATTR_REVISION = 4;
export const IPSET_ATTR_FAMILY = 5;
export const IPSET_ATTR_FLAGS = 6;
export const IPSET_ATTR_DATA = 7;
export const IPSET_ATTR_ADT = 8;
/** In a command and in each entry of it. */
export const IPSET_ATTR_LINENO = 9;
export const IPSET_ATTR_PROTOCOL_MIN = 10;

/** Attributes of a member, within IPSET_ATTR_DATA. */
export const IPSET_ATTR_IP = 1;
export const IPSET_ATTR_CIDR = 3;
export const IPSET_ATTR_PORT = 4;
export const IPSET_ATTR_PORT_TO = 5;
export const IPSET_ATTR_PROTO = 7;
export const IPSET_ATTR_IP2 = 20;
export const IPSET_ATTR_CIDR2 = 21;
/** Mark and mask, 32 bits each. */
export const IPSET_ATTR_SKBMARK = 27;

/** Attributes of a set, within IPSET_ATTR_DATA. */
export const IPSET_ATTR_CADT_FLAGS = 8;
export const IPSET_ATTR_HASHSIZE = 18;
export const IPSET_ATTR_MAXELEM = 19;
/** Only the kernel sends it. */
export const IPSET_ATTR_ELEMENTS = 24;

export const IPSET_ATTR_IPADDR_IPV4 = 1;
export const IPSET_ATTR_IPADDR_IPV6 = 2;

/** Flag of every integer and address wider than a byte, except line numbers: those are in host byte order. */
export const NLA_F_NET_BYTEORDER = 0x4000;

/** Flag in IPSET_ATTR_FLAGS of a LIST: list the sets without their members. */
export const IPSET_FLAG_LIST_HEADER = 1 << 2;

/** Flag in IPSET_ATTR_CADT_FLAGS: members may have a mark. */
export const IPSET_FLAG_WITH_SKBINFO = 1 << 6;

export const NFPROTO_UNSPEC = 0;
export const NFPROTO_IPV4 = 2;
export const NFPROTO_IPV6 = 10;

/**
 * Returns the set revision to request: the first that supports SCTP, or skbinfo for a hash:ip,port with marks (Linux
 * 3.18). Every kernel has it, and every `ipset` tool supports it; a tool refuses to list a set of a newer revision than
 * its own.
 */
export function revisionOf(set: IPSet): number {
  return givesMarks(set) ? MARKING_REVISION : REVISIONS[set.type];
}

const MARKING_REVISION = 5;
const REVISIONS: Readonly<Record<SetType, number>> = {
  "hash:ip": 0,
  "hash:net": 0,
  "hash:ip,port": 1,
  "hash:ip,port,ip": 1,
  "hash:ip,port,net": 1,
  "bitmap:port": 0,
};

/** Returns the NFPROTO_ number of a set; a set of ports has no family. */
export function familyNumber(type: SetType, family: IPFamily): number {
  if (type === "bitmap:port") return NFPROTO_UNSPEC;
  return family === "IPv4" ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

/** The member to add exists, the member to delete does not exist, or the set to create exists and differs. */
export const IPSET_ERR_EXIST = 4103;
/** For hash types only: other types have other errors with the numbers from 4352 on. */
export const IPSET_ERR_HASH_FULL = 4352;

/** Names of the errors of ipset: numbers above 4096. */
const IPSET_ERRORS: ReadonlyMap<number, string> = new Map([
  [4097, "IPSET_ERR_PROTOCOL"],
  [4098, "IPSET_ERR_FIND_TYPE"],
  [4099, "IPSET_ERR_MAX_SETS"],
  [4100, "IPSET_ERR_BUSY"],
  [4101, "IPSET_ERR_EXIST_SETNAME2"],
  [4102, "IPSET_ERR_TYPE_MISMATCH"],
  [IPSET_ERR_EXIST, "IPSET_ERR_EXIST"],
  [4104, "IPSET_ERR_INVALID_CIDR"],
  [4105, "IPSET_ERR_INVALID_NETMASK"],
  [4106, "IPSET_ERR_INVALID_FAMILY"],
  [4107, "IPSET_ERR_TIMEOUT"],
  [4108, "IPSET_ERR_REFERENCED"],
  [4109, "IPSET_ERR_IPADDR_IPV4"],
  [4110, "IPSET_ERR_IPADDR_IPV6"],
  [4111, "IPSET_ERR_COUNTER"],
  [4112, "IPSET_ERR_COMMENT"],
  [4113, "IPSET_ERR_INVALID_MARKMASK"],
  [4114, "IPSET_ERR_SKBINFO"],
  [4115, "IPSET_ERR_BITMASK_NETMASK_EXCL"],
  [IPSET_ERR_HASH_FULL, "IPSET_ERR_HASH_FULL"],
  [4353, "IPSET_ERR_HASH_ELEM"],
  [4354, "IPSET_ERR_INVALID_PROTO"],
  [4355, "IPSET_ERR_MISSING_PROTO"],
  [4356, "IPSET_ERR_HASH_RANGE_UNSUPPORTED"],
  [4357, "IPSET_ERR_HASH_RANGE"],
]);

/** Names an error number in an answer of ipset: numbers above 4096 are its own. */
export function ipsetErrno(number: number): Errno {
  const name = IPSET_ERRORS.get(number);
  return name === undefined ? errnoName(number) : errnoNamed(name);
}
