/** So many objects of ten parts each are compared in well under a millisecond. */
export const SLICE = 256;

/** Visits every item, giving the event loop a turn after each SLICE of them. */
export async function eachInSlices<Item>(
  items: Iterable<Item>,
  nextTurn: () => Promise<void>,
  visit: (item: Item) => void,
): Promise<void> {
  let visited = 0;
  for (const item of items) {
    visit(item);
    visited++;
    if (visited % SLICE === 0) await nextTurn();
  }
}

/** The keys of both, each once. */
export function* keysOfBoth<Item, Key>(
  a: Iterable<Item>,
  b: Iterable<Item>,
  keyOf: (item: Item) => Key,
): Generator<Key> {
  const seen = new Set<Key>();
  for (const items of [a, b]) {
    for (const item of items) {
      const key = keyOf(item);
      if (seen.has(key)) continue;
      seen.add(key);
      yield key;
    }
  }
}
