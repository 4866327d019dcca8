import { masked, type RuleOptions } from "./match.ts";

/**
 * Returns a mark of local traffic, which selects the virtual server for clients on this node under the external policy
 * Local. A mark is a number within the mask, with the highest bit of the mask set: other programs often use small
 * numbers, and their packets must not match a mark. IPVS compares all 32 bits, so a packet with additional bits of
 * other programs reaches the virtual server of its address.
 */
export function localMark(index: number, mask: number): number {
  let mark = highestBit(mask);
  let rest = index;
  for (const bit of bitsOf(mask - mark)) {
    if (rest % 2 === 1) mark += bit;
    rest = Math.floor(rest / 2);
  }
  return mark;
}

/** Returns the number of marks in the mask: `localMark` accepts smaller indexes. */
export function localMarkCount(mask: number): number {
  return 2 ** (bitsOf(mask).length - 1);
}

/** The bits that Cilium sets in packets of the node in filter OUTPUT, after IPVS: 0x0c00 (MARK_MAGIC_HOST) in 0x0f00. */
const CILIUM_HOST_BITS: readonly number[] = [0x0400, 0x0800];

/**
 * Returns mark and mask that match a packet with a mark of local traffic: the highest bit of the mask is set, and all
 * bits between its lowest and highest bit that are not in the mask are 0. Those bits belong to other programs: Cilium's
 * IPsec keys are in 0xf000, and such packets always have bits in 0x0300 too. Only the bits by which Cilium marks packets
 * of the node may be set besides ours.
 */
export function markedLocal({ localMarkMask }: Pick<RuleOptions, "localMarkMask">): string {
  const bit = highestBit(localMarkMask);
  const foreign = bitsOf(spanOf(localMarkMask) - localMarkMask).filter((one) => !CILIUM_HOST_BITS.includes(one));
  return masked(
    bit,
    foreign.reduce((sum, one) => sum + one, bit),
  );
}

/**
 * Returns mark and mask that match a packet which may get a mark of local traffic: no bit is set from the lowest to the
 * highest of the mask.
 */
export function unmarkedLocal({ localMarkMask }: Pick<RuleOptions, "localMarkMask">): string {
  const span = spanOf(localMarkMask);
  // iptables-save does not print a mask of all bits.
  return span === 0xffffffff ? "0x0" : masked(0, span);
}

/** Returns all bits from the lowest to the highest bit of the mask. */
function spanOf(mask: number): number {
  const [lowest = 1] = bitsOf(mask);
  return 2 * highestBit(mask) - lowest;
}

function highestBit(mask: number): number {
  return bitsOf(mask).at(-1) ?? 0;
}

/** Returns the powers of two in the mask, in ascending order. */
function bitsOf(mask: number): readonly number[] {
  return Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter((bit) => Math.floor(mask / bit) % 2 === 1);
}
