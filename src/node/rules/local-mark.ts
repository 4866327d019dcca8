import { masked, type RuleOptions } from "./match.ts";

/**
 * Marks of local traffic select, by packet mark, the virtual servers that this node's own clients get under the external
 * policy Local. A mark is a number within the mask whose highest bit is set: others like to use small numbers, and a packet
 * of theirs that wears one of ours would be led into a Service. IPVS compares all 32 bits, so a packet on which others set
 * further bits takes the virtual server of its address instead.
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

/** How many marks there are in the mask: `localMark` takes indexes below it. */
export function localMarkCount(mask: number): number {
  return 2 ** (bitsOf(mask).length - 1);
}

/**
 * Mark and mask by which a packet is known to wear a mark of local traffic: its highest bit, and none of the bits that the
 * mask leaves out between its lowest and its highest. Those are others': the keys of Cilium's IPsec are in 0xf000, and there
 * is always more in 0x0f00 then.
 */
export function markedLocal({ localMarkMask }: Pick<RuleOptions, "localMarkMask">): string {
  const bit = highestBit(localMarkMask);
  return masked(bit, bit + spanOf(localMarkMask) - localMarkMask);
}

/** Mark and mask of a packet that may be given a mark of local traffic: others have written nothing there. */
export function unmarkedLocal({ localMarkMask }: Pick<RuleOptions, "localMarkMask">): string {
  const span = spanOf(localMarkMask);
  // iptables-save prints no mask of all bits.
  return span === 0xffffffff ? "0x0" : masked(0, span);
}

/** All bits from the lowest of the mask to the highest. */
function spanOf(mask: number): number {
  const [lowest = 1] = bitsOf(mask);
  return 2 * highestBit(mask) - lowest;
}

function highestBit(mask: number): number {
  return bitsOf(mask).at(-1) ?? 0;
}

/** The powers of two in the mask, in order. */
function bitsOf(mask: number): readonly number[] {
  return Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter((bit) => Math.floor(mask / bit) % 2 === 1);
}
