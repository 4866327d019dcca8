import { addressPort, type IPAddress, type IPFamily } from "../../model/address.ts";
import type { Protocol } from "../../model/cluster/service.ts";

/** A packet on its way, as the rules see it. Empty interface names: there is none in this hook. */
export interface Packet {
  readonly family: IPFamily;
  readonly protocol: Protocol;
  readonly source: IPAddress;
  readonly sourcePort: number;
  readonly destination: IPAddress;
  readonly port: number;
  readonly mark: number;
  readonly inInterface: string;
  readonly outInterface: string;
  /** Of conntrack: the first packet of a connection, or its answer. */
  readonly state: "NEW" | "ESTABLISHED";
  readonly direction: "ORIGINAL" | "REPLY";
  /** Whether conntrack has translated the source address of the connection. */
  readonly isMasqueraded: boolean;
}

export function packetText({ source, sourcePort, destination, port, protocol }: Packet): string {
  return `${addressPort(source, sourcePort)} -> ${addressPort(destination, port)} ${protocol}`;
}
