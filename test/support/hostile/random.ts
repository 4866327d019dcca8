/** Numbers in [0, 1) that follow from the seed alone (Mulberry32). */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from 0 to `count` - 1. */
export function below(count: number, random: Random): number {
  return Math.floor(random() * count);
}

/** One of the items, of which there is one at least. */
export function oneOf<Item>(items: readonly Item[], random: Random): Item {
  return items[below(items.length, random)] as Item; // the index is in the list
}
