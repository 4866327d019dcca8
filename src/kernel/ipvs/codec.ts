import { addressFromBytes, FAMILIES, familyOf, type IPAddress, type IPFamily } from "../../model/address.ts";
import {
  type Forwarding,
  markedServerKey,
  parseVirtualServerKey,
  type RealServer,
  realServerKey,
  type Scheduler,
  type SchedulerFlag,
  type VirtualServer,
  type VirtualServerName,
  virtualServerKey,
} from "../../model/kernel/ipvs.ts";
import { PROTOCOL_NUMBERS, protocolOf } from "../../model/kernel/protocol-numbers.ts";
import { namedFlags } from "../../model/kernel/scheduler.ts";
import { AttributeReader, type AttributeWriter, swapBytes } from "../netlink/attributes.ts";
import { beginGenericMessage, endMessage, GENERIC_HEADER_BYTES, type Message, NLM_F_DUMP } from "../netlink/message.ts";
import {
  AF_INET,
  AF_INET6,
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_CMD_GETFAMILY,
  CTRL_VERSION,
  FLAG_BITS,
  FORWARDING_NUMBERS,
  GENL_ID_CTRL,
  IP_VS_CONN_F_FWD_MASK,
  IP_VS_SVC_F_ONEPACKET,
  IP_VS_SVC_F_PERSISTENT,
  IP_VS_SVC_F_SCHED1,
  IP_VS_SVC_F_SCHED2,
  IP_VS_SVC_F_SCHED3,
  IPVS_CMD_ATTR_DEST,
  IPVS_CMD_ATTR_SERVICE,
  IPVS_CMD_DEL_DEST,
  IPVS_CMD_DEL_SERVICE,
  IPVS_CMD_GET_DEST,
  IPVS_CMD_GET_SERVICE,
  IPVS_CMD_NEW_DEST,
  IPVS_CMD_NEW_SERVICE,
  IPVS_CMD_SET_DEST,
  IPVS_CMD_SET_SERVICE,
  IPVS_DEST_ATTR_ACTIVE_CONNS,
  IPVS_DEST_ATTR_ADDR,
  IPVS_DEST_ATTR_ADDR_FAMILY,
  IPVS_DEST_ATTR_FWD_METHOD,
  IPVS_DEST_ATTR_INACT_CONNS,
  IPVS_DEST_ATTR_L_THRESH,
  IPVS_DEST_ATTR_PORT,
  IPVS_DEST_ATTR_U_THRESH,
  IPVS_DEST_ATTR_WEIGHT,
  IPVS_GENL_NAME,
  IPVS_SVC_ATTR_ADDR,
  IPVS_SVC_ATTR_AF,
  IPVS_SVC_ATTR_FLAGS,
  IPVS_SVC_ATTR_FWMARK,
  IPVS_SVC_ATTR_NETMASK,
  IPVS_SVC_ATTR_PORT,
  IPVS_SVC_ATTR_PROTOCOL,
  IPVS_SVC_ATTR_SCHED_NAME,
  IPVS_SVC_ATTR_TIMEOUT,
} from "./constants.ts";

/** One change of one virtual or real server. */
export type ServerOperation =
  | {
      readonly kind: "add-virtual-server" | "update-virtual-server" | "delete-virtual-server";
      readonly server: VirtualServer;
    }
  | {
      readonly kind: "add-real-server" | "update-real-server" | "delete-real-server";
      readonly server: VirtualServer;
      readonly real: RealServer;
    };

/** Encodes the request for the number that this kernel gave to the generic netlink family of IPVS. */
export function encodeGetFamily(writer: AttributeWriter): void {
  const message = beginGenericMessage(writer, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, CTRL_VERSION);
  writer.string(CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME);
  endMessage(writer, message);
}

/** Returns the number of the family; undefined if the answer has none. */
export function decodeFamily(message: Message): number | undefined {
  const reader = new AttributeReader(message.payload.subarray(GENERIC_HEADER_BYTES));
  while (reader.next()) if (reader.type === CTRL_ATTR_FAMILY_ID) return reader.u16();
  return undefined;
}

/**
 * Encodes one operation.
 *
 *     nlmsghdr | genlmsghdr | SERVICE { AF (PROTOCOL ADDR PORT | FWMARK) [SCHED_NAME FLAGS TIMEOUT NETMASK] }
 *                           | [DEST { ADDR PORT [FWD_METHOD WEIGHT U_THRESH L_THRESH ADDR_FAMILY] }]
 */
export function encodeServerOperation(writer: AttributeWriter, family: number, operation: ServerOperation): void {
  const { command, full } = COMMANDS[operation.kind];
  const message = beginGenericMessage(writer, family, 0, command);
  const service = beginService(writer, operation.server);
  if ("real" in operation) {
    writer.end(service);
    encodeDest(writer, operation.real, full);
  } else {
    if (full) encodeServiceOptions(writer, operation.server);
    writer.end(service);
  }
  endMessage(writer, message);
}

/** `full`: the message has all attributes that can be set, not only those of the key. */
const COMMANDS: Readonly<Record<ServerOperation["kind"], { readonly command: number; readonly full: boolean }>> = {
  "add-virtual-server": { command: IPVS_CMD_NEW_SERVICE, full: true },
  "update-virtual-server": { command: IPVS_CMD_SET_SERVICE, full: true },
  "delete-virtual-server": { command: IPVS_CMD_DEL_SERVICE, full: false },
  "add-real-server": { command: IPVS_CMD_NEW_DEST, full: true },
  "update-real-server": { command: IPVS_CMD_SET_DEST, full: true },
  "delete-real-server": { command: IPVS_CMD_DEL_DEST, full: false },
};

/** Encodes the request for one virtual server. */
export function encodeGetServer(writer: AttributeWriter, family: number, server: VirtualServerName): void {
  const message = beginGenericMessage(writer, family, 0, IPVS_CMD_GET_SERVICE);
  writer.end(beginService(writer, server));
  endMessage(writer, message);
}

/** Encodes the dump of all virtual servers. */
export function encodeGetServers(writer: AttributeWriter, family: number): void {
  endMessage(writer, beginGenericMessage(writer, family, NLM_F_DUMP, IPVS_CMD_GET_SERVICE));
}

/** Encodes the dump of the real servers of one virtual server; the dump is empty if there is no such virtual server. */
export function encodeGetReals(writer: AttributeWriter, family: number, server: VirtualServerName): void {
  const message = beginGenericMessage(writer, family, NLM_F_DUMP, IPVS_CMD_GET_DEST);
  writer.end(beginService(writer, server));
  endMessage(writer, message);
}

function encodeServiceOptions(writer: AttributeWriter, server: VirtualServer): void {
  writer.string(IPVS_SVC_ATTR_SCHED_NAME, server.scheduler);
  // struct ip_vs_flags { u32 flags; u32 mask }: the mask has all bits, so an update also clears flags.
  writer.u32Pair(IPVS_SVC_ATTR_FLAGS, flagBits(server), 0xffff_ffff);
  writer.u32(IPVS_SVC_ATTR_TIMEOUT, server.persistenceSeconds);
  encodeNetmask(writer, server);
}

function encodeDest(writer: AttributeWriter, real: RealServer, full: boolean): void {
  const dest = writer.begin(IPVS_CMD_ATTR_DEST);
  writer.address(IPVS_DEST_ATTR_ADDR, real.address);
  writer.be16(IPVS_DEST_ATTR_PORT, real.port);
  writer.u16(IPVS_DEST_ATTR_ADDR_FAMILY, addressFamily(familyOf(real.address)));
  if (full) {
    writer.u32(IPVS_DEST_ATTR_FWD_METHOD, FORWARDING_NUMBERS[real.forwarding]);
    writer.u32(IPVS_DEST_ATTR_WEIGHT, real.weight);
    writer.u32(IPVS_DEST_ATTR_U_THRESH, 0);
    writer.u32(IPVS_DEST_ATTR_L_THRESH, 0);
  }
  writer.end(dest);
}

function beginService(writer: AttributeWriter, server: VirtualServerName): number {
  const service = writer.begin(IPVS_CMD_ATTR_SERVICE);
  writer.u16(IPVS_SVC_ATTR_AF, addressFamily(familyOf(server.address)));
  if (server.mark !== 0) {
    writer.u32(IPVS_SVC_ATTR_FWMARK, server.mark);
    return service;
  }
  writer.u16(IPVS_SVC_ATTR_PROTOCOL, PROTOCOL_NUMBERS[server.protocol]);
  writer.address(IPVS_SVC_ATTR_ADDR, server.address);
  writer.be16(IPVS_SVC_ATTR_PORT, server.port);
  return service;
}

function addressFamily(family: IPFamily): number {
  return family === "IPv4" ? AF_INET : AF_INET6;
}

function flagBits(server: VirtualServer): number {
  let bits = server.persistenceSeconds > 0 ? IP_VS_SVC_F_PERSISTENT : 0;
  for (const flag of server.flags) bits |= FLAG_BITS[flag];
  return bits;
}

/** Writes a mask in network order for IPv4, and the prefix length for IPv6. */
function encodeNetmask(writer: AttributeWriter, server: VirtualServer): void {
  const prefix = server.persistencePrefix;
  if (familyOf(server.address) === "IPv6") writer.u32(IPVS_SVC_ATTR_NETMASK, prefix);
  else writer.be32(IPVS_SVC_ATTR_NETMASK, prefix === 0 ? 0 : 0xffff_ffff << (32 - prefix));
}

/** A virtual server as the kernel describes it. */
export type DecodedServer =
  | { readonly kind: "server"; readonly server: VirtualServer }
  /** Kubernetes does not know its protocol: no key can name it. */
  | { readonly kind: "unnamed" };

/** Reads an answer to GET_SERVICE; undefined if it is malformed. */
export function decodeServer(message: Message): DecodedServer | undefined {
  const reader = new AttributeReader(message.payload.subarray(GENERIC_HEADER_BYTES));
  while (reader.next()) if (reader.type === IPVS_CMD_ATTR_SERVICE) return decodeService(reader.nested());
  return undefined;
}

/** The attributes of a virtual server; a missing attribute is 0. */
interface ServiceAttributes {
  family: number;
  protocol: number;
  address: Uint8Array;
  port: number;
  mark: number;
  scheduler: string;
  flags: number;
  timeout: number;
  netmask: number;
}

function decodeService(reader: AttributeReader): DecodedServer | undefined {
  const service = readService(reader);
  if (reader.failed) return undefined;
  const named = service.mark === 0 ? nameByAddress(service) : nameByMark(service);
  if (named === undefined) return undefined;
  if (named === "unnamed") return { kind: named };
  const server: VirtualServer = {
    ...named,
    // The name comes from the kernel, so it is a scheduler.
    scheduler: service.scheduler as Scheduler,
    flags: decodeFlags(service.scheduler, service.flags),
    persistenceSeconds: (service.flags & IP_VS_SVC_F_PERSISTENT) === 0 ? 0 : service.timeout,
    persistencePrefix: service.family === AF_INET6 ? service.netmask : prefixOfMask(service.netmask),
  };
  return { kind: "server", server };
}

type Named = VirtualServerName & Pick<VirtualServer, "key">;

function nameByAddress({ family, protocol: number, address: bytes, port }: ServiceAttributes) {
  const protocol = protocolOf(number);
  if (protocol === undefined) return "unnamed";
  const address = decodeAddress(family, bytes);
  if (address === undefined) return undefined;
  return { key: virtualServerKey(protocol, address, port), protocol, address, port, mark: 0 } satisfies Named;
}

function nameByMark({ family: number, mark }: ServiceAttributes) {
  const family = FAMILIES.find((each) => addressFamily(each) === number);
  if (family === undefined) return undefined;
  const key = markedServerKey(family, mark);
  return { key, ...parseVirtualServerKey(key) } satisfies Named;
}

function readService(reader: AttributeReader): ServiceAttributes {
  const service: ServiceAttributes = { ...NO_SERVICE };
  while (reader.next()) {
    switch (reader.type) {
      case IPVS_SVC_ATTR_AF:
        service.family = reader.u16();
        break;
      case IPVS_SVC_ATTR_PROTOCOL:
        service.protocol = reader.u16();
        break;
      case IPVS_SVC_ATTR_ADDR:
        service.address = reader.bytes();
        break;
      case IPVS_SVC_ATTR_PORT:
        service.port = reader.be16();
        break;
      case IPVS_SVC_ATTR_FWMARK:
        service.mark = reader.u32();
        break;
      case IPVS_SVC_ATTR_SCHED_NAME:
        service.scheduler = reader.string();
        break;
      case IPVS_SVC_ATTR_FLAGS:
        service.flags = reader.u32();
        break;
      case IPVS_SVC_ATTR_TIMEOUT:
        service.timeout = reader.u32();
        break;
      case IPVS_SVC_ATTR_NETMASK:
        service.netmask = reader.be32();
        break;
    }
  }
  // The kernel sends IPv6 prefix lengths in host order and IPv4 masks in network order; the family is known only after
  // the last attribute.
  if (service.family === AF_INET6) service.netmask = swapBytes(service.netmask);
  return service;
}

const NO_SERVICE: Readonly<ServiceAttributes> = {
  family: 0,
  protocol: 0,
  address: new Uint8Array(0),
  port: 0,
  mark: 0,
  scheduler: "",
  flags: 0,
  timeout: 0,
  netmask: 0,
};

const FORWARDINGS_BY_NUMBER = invert<Forwarding>(FORWARDING_NUMBERS);

function invert<Name extends string>(numbers: Readonly<Record<Name, number>>): ReadonlyMap<number, Name> {
  const names = new Map<number, Name>();
  for (const name in numbers) names.set(numbers[name], name);
  return names;
}

function prefixOfMask(mask: number): number {
  return Math.clz32(~mask);
}

/** Reads an address: the kernel sends a union of 16 bytes for both families. */
function decodeAddress(family: number, bytes: Uint8Array): IPAddress | undefined {
  if (family === AF_INET && bytes.length >= 4) return addressFromBytes(bytes.subarray(0, 4));
  if (family === AF_INET6 && bytes.length === 16) return addressFromBytes(bytes);
  return undefined;
}

const UNNAMED_FLAGS: readonly SchedulerFlag[] = ["flag-1", "flag-2", "flag-3"];
const NO_FLAGS: readonly SchedulerFlag[] = [];
const MEANT_FLAGS = IP_VS_SVC_F_ONEPACKET | IP_VS_SVC_F_SCHED1 | IP_VS_SVC_F_SCHED2 | IP_VS_SVC_F_SCHED3;

/**
 * Returns the flags, sorted. HASHED is left out because the kernel sets it; PERSISTENT is left out because the timeout
 * implies it.
 */
function decodeFlags(scheduler: string, bits: number): readonly SchedulerFlag[] {
  if ((bits & MEANT_FLAGS) === 0) return NO_FLAGS;
  const named = namedFlags(scheduler);
  const candidates: readonly SchedulerFlag[] = ["one-packet", ...named, ...UNNAMED_FLAGS.slice(named.length)];
  return candidates.filter((flag) => (bits & FLAG_BITS[flag]) !== 0).sort();
}

/** A real server as the kernel describes it, with its connections. */
export interface DecodedReal {
  readonly real: RealServer;
  readonly active: number;
  readonly inactive: number;
}

/**
 * Reads one part of the answer to GET_DEST; undefined if it is malformed. `family` is the family of the virtual server.
 */
export function decodeReal(message: Message, family: IPFamily): DecodedReal | undefined {
  const reader = new AttributeReader(message.payload.subarray(GENERIC_HEADER_BYTES));
  while (reader.next()) if (reader.type === IPVS_CMD_ATTR_DEST) return decodeDest(reader.nested(), family);
  return undefined;
}

function decodeDest(reader: AttributeReader, family: IPFamily): DecodedReal | undefined {
  // Kernels before 3.18 do not send the family; it differs from the virtual server's family only for tunnels.
  const dest = { family: addressFamily(family), port: 0, forwarding: 0, weight: 0 };
  let addressBytes: Uint8Array = NO_SERVICE.address;
  const connections = { active: 0, inactive: 0 };
  while (reader.next()) {
    switch (reader.type) {
      case IPVS_DEST_ATTR_ADDR_FAMILY:
        dest.family = reader.u16();
        break;
      case IPVS_DEST_ATTR_ADDR:
        addressBytes = reader.bytes();
        break;
      case IPVS_DEST_ATTR_PORT:
        dest.port = reader.be16();
        break;
      case IPVS_DEST_ATTR_FWD_METHOD:
        dest.forwarding = reader.u32();
        break;
      case IPVS_DEST_ATTR_WEIGHT:
        dest.weight = reader.u32() | 0;
        break;
      case IPVS_DEST_ATTR_ACTIVE_CONNS:
        connections.active = reader.u32();
        break;
      case IPVS_DEST_ATTR_INACT_CONNS:
        connections.inactive = reader.u32();
        break;
    }
  }
  const address = decodeAddress(dest.family, addressBytes);
  const forwarding = FORWARDINGS_BY_NUMBER.get(dest.forwarding & IP_VS_CONN_F_FWD_MASK);
  if (reader.failed || address === undefined || forwarding === undefined) return undefined;
  const key = realServerKey(address, dest.port);
  return { real: { key, address, port: dest.port, weight: dest.weight, forwarding }, ...connections };
}
