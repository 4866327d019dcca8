/**
 * Netlink bytes the slow and obvious way, written from the kernel's headers: the witness against which the codecs are
 * judged. Shares no code with src.
 */

export type Bytes = readonly number[];

export const u8 = (value: number): Bytes => [value & 0xff];
export const u16 = (value: number): Bytes => [value & 0xff, (value >> 8) & 0xff];
export const u32 = (value: number): Bytes => [...u16(value % 65_536), ...u16(Math.floor(value / 65_536) % 65_536)];
export const i32 = (value: number): Bytes => u32(value < 0 ? 2 ** 32 + value : value);
export const be16 = (value: number): Bytes => [...u16(value)].reverse();
export const be32 = (value: number): Bytes => [...u32(value)].reverse();
export const text = (value: string): Bytes => [...Buffer.from(value, "latin1"), 0];
export const ipv4 = (value: string): Bytes => value.split(".").map(Number);
/** All eight groups, none left out. */
export const ipv6 = (value: string): Bytes => value.split(":").flatMap((group) => be16(Number.parseInt(group, 16)));

const padded = (bytes: Bytes): Bytes => {
  const result = [...bytes];
  while (result.length % 4 !== 0) result.push(0);
  return result;
};

export const attribute = (type: number, ...value: Bytes[]): Bytes => {
  const bytes = value.flat();
  return padded([...u16(bytes.length + 4), ...u16(type), ...bytes]);
};

export const nested = (type: number, ...attributes: Bytes[]): Bytes => attribute(type + 0x8000, ...attributes);

export const message = (type: number, flags: number, sequence: number, ...body: Bytes[]): Bytes => {
  const bytes = body.flat();
  return padded([...u32(bytes.length + 16), ...u16(type), ...u16(flags), ...u32(sequence), ...u32(0), ...bytes]);
};

/** A generic netlink message. */
export const generic = (family: number, flags: number, command: number, ...attributes: Bytes[]): Bytes =>
  message(family, flags, 0, [command, 1, 0, 0], ...attributes);

export interface NaiveMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Bytes;
  /** Header included. */
  readonly whole: Bytes;
}

const number = (bytes: Bytes): number => bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);

/** The messages of a datagram. */
export const split = (datagram: Uint8Array | Bytes): readonly NaiveMessage[] => {
  const messages: NaiveMessage[] = [];
  let left = [...datagram];
  while (left.length > 0) {
    const whole = left.slice(0, number(left.slice(0, 4)));
    messages.push({
      type: number(whole.slice(4, 6)),
      flags: number(whole.slice(6, 8)),
      sequence: number(whole.slice(8, 12)),
      body: whole.slice(16),
      whole,
    });
    left = left.slice(padded(whole).length);
  }
  return messages;
};

/** The NLMSG_ERROR with which the kernel answers: 0 is an acknowledgement. */
export const acknowledgement = (
  request: NaiveMessage,
  errno: number,
  options: { text?: string; capped?: boolean } = {},
): Bytes => {
  const copied = options.capped === true || errno === 0 ? request.whole.slice(0, 16) : padded(request.whole);
  const extended = options.text === undefined ? [] : attribute(1, text(options.text));
  const flags = (options.capped === true ? 0x100 : 0) + (options.text === undefined ? 0 : 0x200);
  return message(2, flags, request.sequence, i32(-errno), copied, extended);
};

/** The NLMSG_DONE at the end of a dump. */
export const done = (request: NaiveMessage, errno = 0, flags = 2): Bytes =>
  message(3, flags, request.sequence, i32(-errno));
