import { cidr, cidrContains, type IPAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";
import type { PacketEnd, SetQuestion } from "../../model/kernel/set-question.ts";
import type { Packet } from "./packet.ts";

/** The sets that a packet is looked for in. */
export interface PacketSets {
  /** The members of the sets that were read, by names; a set that is not among them is of another program. */
  readonly members: ReadonlyMap<string, readonly SetEntry[]>;
  /** Whether the packet is in a set of another program; undefined if the kernel cannot be asked or does not know. */
  readonly isInForeign: (question: SetQuestion) => boolean | undefined;
}

/**
 * Returns the member of the set that the packet matches with these directions ("dst,dst,src"), undefined if there is none.
 * Of a set of another program: whether there is one, and "unknown".
 */
export function memberOf(
  { members, isInForeign }: PacketSets,
  name: string,
  directions: string,
  packet: Packet,
): SetEntry | "unknown" | "member" | undefined {
  const entries = members.get(name);
  const ends = directions.split(",").map((side) => endOf(packet, side));
  if (entries !== undefined) return entries.find((member) => matches(member, ends, packet));
  const found = isInForeign({ set: name, ends, protocol: packet.protocol });
  if (found === undefined) return "unknown";
  return found ? "member" : undefined;
}

function endOf({ source, sourcePort, destination, port }: Packet, side: string): PacketEnd {
  return side === "src" ? { address: source, port: sourcePort } : { address: destination, port };
}

function matches(member: SetEntry, [first, second, third]: readonly PacketEnd[], packet: Packet): boolean {
  if (first === undefined) return false;
  switch (member.set.type) {
    case "bitmap:port":
      return member.port === first.port;
    case "hash:ip":
      return member.address === first.address;
    case "hash:net":
      return isIn(first.address, member.address, member.prefix);
    case "hash:ip,port":
      return isFrontend(member, first, second, packet);
    case "hash:ip,port,ip":
      return isFrontend(member, first, second, packet) && member.second === third?.address;
    case "hash:ip,port,net":
      return (
        isFrontend(member, first, second, packet) &&
        third !== undefined &&
        isIn(third.address, member.second, member.secondPrefix)
      );
  }
}

function isFrontend(member: SetEntry, first: PacketEnd, second: PacketEnd | undefined, { protocol }: Packet): boolean {
  return member.address === first.address && member.port === second?.port && member.protocol === protocol;
}

function isIn(address: IPAddress, network: IPAddress | undefined, prefix: number | undefined): boolean {
  if (network === undefined) return false;
  return prefix === undefined ? network === address : cidrContains(cidr(network, prefix), address);
}
