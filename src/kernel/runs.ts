/** Groups consecutive items of the same name, in the order given: `[a, a, b, a]` gives three runs. */
export function runsBy<Item, Name>(items: readonly Item[], nameOf: (item: Item) => Name): readonly Run<Item, Name>[] {
  const runs: { name: Name; items: Item[] }[] = [];
  let current: { name: Name; items: Item[] } | undefined;
  items.forEach((item) => {
    const name = nameOf(item);
    if (current === undefined || current.name !== name) {
      current = { name, items: [] };
      runs.push(current);
    }
    current.items.push(item);
  });
  return runs;
}

export interface Run<Item, Name> {
  readonly name: Name;
  readonly items: readonly Item[];
}
