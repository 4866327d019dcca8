import { IPVS_TIMEOUTS, type IpvsTimeoutName } from "../../model/kernel/ipvs.ts";
import { AttributeReader, type AttributeWriter } from "../netlink/attributes.ts";
import { beginGenericMessage, endMessage, GENERIC_HEADER_BYTES, type Message } from "../netlink/message.ts";
import { IPVS_CMD_GET_CONFIG, IPVS_CMD_SET_CONFIG, TIMEOUT_ATTRIBUTES } from "./constants.ts";

/** Timeouts in seconds; a kernel without TCP or UDP does not have those of that protocol. */
export type IpvsTimeouts = Readonly<Partial<Record<IpvsTimeoutName, number>>>;

/** Encodes the request for the timeouts. */
export function encodeGetTimeouts(writer: AttributeWriter, family: number): void {
  endMessage(writer, beginGenericMessage(writer, family, 0, IPVS_CMD_GET_CONFIG));
}

/**
 * Encodes the change of one timeout; the others stay. The kernel takes 0 for "unchanged". It refuses a whole message
 * (EINVAL) if its clock cannot represent one of the values, so each timeout has a message of its own.
 *
 *     nlmsghdr | genlmsghdr | TIMEOUT_TCP or TIMEOUT_TCP_FIN or TIMEOUT_UDP
 */
export function encodeSetTimeout(
  writer: AttributeWriter,
  family: number,
  name: IpvsTimeoutName,
  seconds: number,
): void {
  const message = beginGenericMessage(writer, family, 0, IPVS_CMD_SET_CONFIG);
  writer.u32(TIMEOUT_ATTRIBUTES[name], seconds);
  endMessage(writer, message);
}

/** Reads the answer to GET_CONFIG; undefined if it is malformed. */
export function decodeTimeouts(message: Message): IpvsTimeouts | undefined {
  const reader = new AttributeReader(message.payload.subarray(GENERIC_HEADER_BYTES));
  const timeouts: Partial<Record<IpvsTimeoutName, number>> = {};
  while (reader.next()) {
    const name = IPVS_TIMEOUTS.find((candidate) => TIMEOUT_ATTRIBUTES[candidate] === reader.type);
    if (name !== undefined) timeouts[name] = reader.u32();
  }
  return reader.failed ? undefined : timeouts;
}
