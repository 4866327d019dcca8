import type { IPAddress } from "../address.ts";
import type { Protocol } from "../cluster/service.ts";

/** One end of a packet. */
export interface PacketEnd {
  readonly address: IPAddress;
  readonly port: number;
}

/** Whether a packet is in a set: the ends by which a rule looks for it, in the order of the set's type. */
export interface SetQuestion {
  readonly set: string;
  readonly ends: readonly PacketEnd[];
  readonly protocol: Protocol;
}

/** The attributes of a member by which a packet can be looked for. */
export interface TestedMember {
  readonly address?: IPAddress;
  readonly second?: IPAddress;
  readonly port?: number;
  readonly protocol: Protocol;
}

/**
 * Returns the member that a set of this type ("hash:ip,port,net") would have for the packet; undefined if the type has parts
 * that a trace does not know, as MAC addresses, interfaces, marks and lists of sets.
 */
export function testedMember(type: string, { ends, protocol }: SetQuestion): TestedMember | undefined {
  const [method = "", parts = ""] = type.split(":");
  if (method !== "hash" && method !== "bitmap") return undefined;
  let member: TestedMember = { protocol };
  for (const [index, part] of parts.split(",").entries()) {
    const end = ends[index];
    if (end === undefined) return undefined;
    if (part === "port") member = { ...member, port: end.port };
    else if (part !== "ip" && part !== "net") return undefined;
    else
      member = member.address === undefined ? { ...member, address: end.address } : { ...member, second: end.address };
  }
  return member;
}
