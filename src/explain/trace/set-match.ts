import { cidr, cidrContains, type IPAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";
import type { Packet } from "./packet.ts";

/** The members of the sets that were read, by names; a set that is not among them is of another program. */
export type SetMembers = ReadonlyMap<string, readonly SetEntry[]>;

/**
 * Returns the member of the set that the packet matches with these directions ("dst,dst,src"), undefined if there is none,
 * and "unknown" if the set was not read.
 */
export function memberOf(
  sets: SetMembers,
  name: string,
  directions: string,
  packet: Packet,
): SetEntry | "unknown" | undefined {
  const members = sets.get(name);
  if (members === undefined) return "unknown";
  const sides = directions.split(",").map((side) => sideOf(packet, side));
  return members.find((member) => matches(member, sides, packet));
}

interface Side {
  readonly address: IPAddress;
  readonly port: number;
}

function sideOf({ source, sourcePort, destination, port }: Packet, side: string): Side {
  return side === "src" ? { address: source, port: sourcePort } : { address: destination, port };
}

function matches(member: SetEntry, [first, second, third]: readonly Side[], packet: Packet): boolean {
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

function isFrontend(member: SetEntry, first: Side, second: Side | undefined, { protocol }: Packet): boolean {
  return member.address === first.address && member.port === second?.port && member.protocol === protocol;
}

function isIn(address: IPAddress, network: IPAddress | undefined, prefix: number | undefined): boolean {
  if (network === undefined) return false;
  return prefix === undefined ? network === address : cidrContains(cidr(network, prefix), address);
}
