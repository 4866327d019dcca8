import * as naive from "../../../support/netlink/naive-netlink.ts";

const { attribute, be16, be32, nested } = naive;

export interface NaiveFlow {
  /** Attributes of the original and of the reply tuple. */
  readonly to: naive.Bytes;
  readonly back: naive.Bytes;
  readonly id: number;
  /** The bits of the status; 8, confirmed, if absent. */
  readonly status?: number;
}

/** The attributes of a tuple, ends as "10.0.0.1:53". */
export function tuple4(protocol: number, source: string, destination: string): naive.Bytes {
  const [[from, fromPort], [to, toPort]] = [source, destination].map((end) => end.split(":")) as [string[], string[]]; // two of two
  return [
    ...nested(1, attribute(1, naive.ipv4(from ?? "")), attribute(2, naive.ipv4(to ?? ""))),
    ...ports(protocol, Number(fromPort), Number(toPort)),
  ];
}

/** The same with ends as address with all groups, and port. */
export function tuple6(protocol: number, source: readonly [string, number], destination: readonly [string, number]) {
  return [
    ...nested(1, attribute(3, naive.ipv6(source[0])), attribute(4, naive.ipv6(destination[0]))),
    ...ports(protocol, source[1], destination[1]),
  ];
}

function ports(protocol: number, source: number, destination: number): naive.Bytes {
  return nested(2, attribute(1, [protocol]), attribute(2, be16(source)), attribute(3, be16(destination)));
}

/** The attributes of a flow in the kernel's order. */
export function flowAttributes({ to, back, id, status = 8 }: NaiveFlow): naive.Bytes {
  return [...nested(1, to), ...nested(2, back), ...attribute(3, be32(status)), ...attribute(12, be32(id))];
}

/** A part of a list, as the socket passes it on. */
export function flowMessage(flow: NaiveFlow, more: naive.Bytes = []) {
  const payload = Uint8Array.from([2, 0, 0, 0, ...flowAttributes(flow), ...more]);
  return { type: 0x100, flags: 2, sequence: 1, payload };
}
