import { PROTOCOLS, type Protocol } from "../cluster/service.ts";

/** The numbers of the protocols in IP headers, which every netlink family uses (IANA). */
export const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Returns the protocol of a number; undefined for one that no Service can have. */
export function protocolOf(number: number): Protocol | undefined {
  return PROTOCOLS.find((protocol) => PROTOCOL_NUMBERS[protocol] === number);
}
