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

/** Mark and mask by which a packet is known to wear a mark of local traffic. */
export function markedLocal({ localMarkMask }: Pick<RuleOptions, "localMarkMask">): string {
  const bit = highestBit(localMarkMask);
  return masked(bit, bit);
}

function highestBit(mask: number): number {
  return bitsOf(mask).at(-1) ?? 0;
}

/** The powers of two in the mask, in order. */
function bitsOf(mask: number): readonly number[] {
  return Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter((bit) => Math.floor(mask / bit) % 2 === 1);
}
