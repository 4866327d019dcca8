/** So many objects of ten parts each are compared in well under a millisecond. */
export const SLICE = 256;

/** All items, SLICE of them at a time, with a turn of the event loop after each. */
export async function* inSlices<Item>(
  items: Iterable<Item>,
  nextTurn: () => Promise<void>,
): AsyncGenerator<readonly Item[]> {
  let slice: Item[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
    await nextTurn();
  }
  yield slice;
}
