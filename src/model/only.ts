/** Filters an array; returns the same array if all items pass, which is the usual case and avoids a copy. */
export function only<Item>(items: readonly Item[], passes: (item: Item, index: number) => boolean): readonly Item[] {
  return items.every(passes) ? items : items.filter(passes);
}
