/** Pairs of texts that lead FNV-1a of 32 bits from one state to one other: the first from its beginning, the second from there on. */
const FIRST = ["7yzx", "e6ad"];
const NEXT = ["33zx", "epad"];

/** 2 to the power of `blocks` host names of one length with one FNV-1a of 32 bits (a multicollision, Joux 2004). */
export function collidingTexts(blocks: number): readonly string[] {
  let texts = FIRST;
  for (let block = 1; block < blocks; block++) texts = texts.flatMap((text) => NEXT.map((next) => text + next));
  if (new Set(texts.map(fnv)).size > 1) throw new Error("These texts do not collide");
  return texts;
}

function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}
