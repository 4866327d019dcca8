import { PROTOCOLS, type Protocol } from "../cluster/service.ts";

/** The numbers of the protocols in IP headers, which every netlink family uses (IANA). */
export const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Returns the protocol with this number; undefined if no Service can have it. */
export function protocolOf(number: number): Protocol | undefined {
  return PROTOCOLS.find((protocol) => PROTOCOL_NUMBERS[protocol] === number);
}
